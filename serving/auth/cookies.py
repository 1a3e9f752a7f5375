"""The names and attributes of cookies. Names differ between installations, because browsers ignore the port.

Without this, logging in to a second installation on the same host would log a browser out of the first one.
"""

from dataclasses import dataclass

from starlette.responses import Response

from serving.auth.known_clients import DEVICE_LIFE_S
from serving.auth.sessions import LIFE_S


@dataclass(frozen=True)
class Cookies:
    """The cookies of an installation. They are always `Secure` if its address is HTTPS."""

    installation: str
    is_always_secure: bool

    @property
    def session(self) -> str:
        """The name of the cookie with the session's id. Browsers accept a name with __Host- only over HTTPS."""
        return f"{'__Host-' if self.is_always_secure else ''}okr_session_{self.installation}"

    @property
    def device(self) -> str:
        """The name of the cookie that shows that an account has logged in on this device."""
        return f"okr_device_{self.installation}"

    def set_session(self, response: Response, value: str, scheme: str) -> None:
        """Set the session cookie, which scripts cannot read and other sites cannot send."""
        self._set(response, self.session, value, LIFE_S, scheme)

    def set_device(self, response: Response, value: str, scheme: str) -> None:
        """Set the cookie of the device."""
        self._set(response, self.device, value, DEVICE_LIFE_S, scheme)

    def delete_session(self, response: Response, scheme: str) -> None:
        """Delete the session cookie."""
        secure = self._is_secure(scheme)
        response.delete_cookie(self.session, secure=secure, httponly=True, samesite="strict")

    def _set(self, response: Response, name: str, value: str, life_s: int, scheme: str) -> None:
        secure = self._is_secure(scheme)
        response.set_cookie(name, value, max_age=life_s, secure=secure, httponly=True, samesite="strict")

    def _is_secure(self, scheme: str) -> bool:
        return self.is_always_secure or scheme == "https"
