"""`okr rate-plan`: how many requests the accounts of a plan may send."""

from typing import Annotated

import typer

from lakehouse.contracts.allowed_characters import printable
from serving.auth.command_context import actor, auth_services

app = typer.Typer(no_args_is_help=True, help="Manage rate plans, which limit the requests of accounts.")


@app.command("list")
def list_plans() -> None:
    """List the rate plans, sorted by name."""
    from serving.limits.rate_plan_changes import RatePlanChanges

    with auth_services() as (_, warehouse):
        for plan in RatePlanChanges(warehouse).all():
            limits = f"{plan.requests_per_second:g} requests per second, bursts of {plan.burst}"
            typer.echo(f"{plan.name}\t{limits}\t{printable(plan.description)}")


@app.command("set")
def set_plan(
    name: Annotated[str, typer.Argument(help="The name of the plan.")],
    per_second: Annotated[float, typer.Option(min=0.01, max=1_000_000, help="Requests permitted per second.")],
    burst: Annotated[int, typer.Option(min=1, max=1_000_000, help="Requests permitted in a burst.")],
    description: Annotated[str, typer.Option(help="Whom the plan is for.")],
) -> None:
    """Create or change a plan. Every worker applies it within ten seconds."""
    from serving.admin.changes import Changes
    from serving.admin.rate_plans.service import RatePlanOperations
    from serving.limits.rate_plan_changes import RatePlanChanges

    with auth_services() as (services, warehouse):
        plans = RatePlanOperations(RatePlanChanges(warehouse), Changes(services.audit))
        plans.change(name, actor(), requests_per_second=per_second, burst=burst, description=description)
    typer.echo(f"The plan {name} permits {per_second:g} requests per second and bursts of {burst}.")
