"""FastAPI dependencies that return the caller if it has the right to manage accounts."""

from typing import Annotated

from fastapi import Depends, Path

from serving.auth.actor import Actor
from serving.auth.authorization import ClientDep, RequireToken
from serving.auth.roles import Identity, Right
from serving.schemas import Id

Manager = Annotated[Identity, Depends(RequireToken(Right.MANAGE_ACCOUNTS))]
Username = Annotated[Id, Path(description="The user name.")]


async def managing(manager: Manager, client: ClientDep) -> Actor:
    """Return the caller as an `Actor`, whose identity limits what the caller may change."""
    return Actor(manager.username, client.address, manager)


ManagingActor = Annotated[Actor, Depends(managing)]
