"""Requests that are signed instead of carrying a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from toka.llm_gateway._errors import AuthenticationFailed, ConfigurationInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials


class Signer(Protocol):
    """Signs requests, each try anew: a signature holds for minutes."""

    async def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """Return the headers that a request with this address, body and headers is to have.

        Raises:
            AuthenticationFailed: There is nothing to sign with.

        """
        ...


class AwsSigner:
    """Signs for an Amazon service: AWS Signature Version 4, with credentials found as AWS does.

    Credentials come from where all AWS tools look: the environment, the shared files, single
    sign-on, the container, the instance. They are renewed before they expire.
    """

    def __init__(self, service: str, region: str, profile: str | None = None) -> None:
        """Prepare to sign; nothing is looked up before the first request.

        Raises:
            ConfigurationInvalid: botocore is not installed, or there is no such profile.

        """
        try:
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra, and 0.2 s
            from botocore.session import Session  # noqa: PLC0415 - an extra, and 0.2 s
        except ImportError:
            failure = ConfigurationInvalid(
                "Signing for Amazon Bedrock needs botocore.",
                hint="pip install 'toka-llm-gateway[bedrock]', or use a Bedrock API key.",
            )
            raise failure from None
        self._service: Final = service
        self._region: Final = region
        self._session: Final = Session(profile=profile)
        self._unusable: Final = BotoCoreError
        self._credentials: Credentials | None = None

    def __repr__(self) -> str:
        return f"AwsSigner({self._service!r}, {self._region!r})"

    async def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        import asyncio  # noqa: PLC0415 - 20 ms at import; whoever calls a model has it loaded

        # Finding and renewing credentials reads files and asks servers. Who stops waiting leaves
        # the thread to botocore's own limits; what it finds serves the next call.
        return await asyncio.to_thread(self._sign, url, headers, body)

    def _sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - loaded above
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - loaded above

        reason = "none were found"
        try:
            self._credentials = self._credentials or self._session.get_credentials()
            if self._credentials is not None:
                frozen = self._credentials.get_frozen_credentials()
                request = AWSRequest("POST", url, {**headers, **_JSON}, body)
                SigV4Auth(frozen, self._service, self._region).add_auth(request)
                return dict(request.headers.items())
        except self._unusable as error:
            # Its message can name files and roles; its kind says enough.
            reason = type(error).__name__
        raise AuthenticationFailed(
            f"The AWS credentials cannot be used: {reason}.",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role.",
        )


_JSON: Final = {"Content-Type": "application/json"}
