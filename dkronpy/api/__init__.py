"""The HTTP API of a server: one module a resource. `dkronpy.api.app.build` puts them together."""
