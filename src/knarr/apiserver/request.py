"""The shapes of one request, under the name the API server's modules use."""

from knarr.component_base.http import RawStream, Request, RequestInfo, Response, UserInfo

__all__ = ["RawStream", "Request", "RequestInfo", "Response", "UserInfo"]
