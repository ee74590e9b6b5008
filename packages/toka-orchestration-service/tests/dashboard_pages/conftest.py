"""What a browser sends, without one."""

import pytest

SAME = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """Sends what a browser sends, and follows nothing by itself."""

    EVERYTHING = (
        *("run:*:*", "agent:*:**", "event:read:**", "approval:resolve:**", "metrics:read:*"),
        *("tool:read:*", "key:read:*"),
    )

    def __init__(self, served) -> None:
        self._served = served
        self.cookies: dict[str, str] = {}

    async def ask(self, path, method="GET", headers=SAME, **how):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self._served.session.request(
            method,
            self._served.url + path,
            headers={"Cookie": cookie, **headers},
            allow_redirects=False,
            **how,
        ) as answer:
            await answer.read()
            self.cookies |= {name: each.value for name, each in answer.cookies.items()}
            return answer

    async def sign_in(self, token, **how):
        return await self.ask("/ui/login", "POST", data={"token": token}, **how)


@pytest.fixture
def browser(served):
    return Browser(served)
