"""Other API servers behind this one: APIServices that name a Service, their availability, and what goes through."""
