SELECT plan AS name, requests_per_second, burst FROM serving.rate_plan;
