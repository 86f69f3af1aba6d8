"""All controllers together: their rights, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

from knarr.api.bootstrap import rbac
from knarr.controller.controllers import Settings, controllers
from knarr.controller_runtime.table import table

ALL = controllers(
    Settings(
        "",
        dns_address="10.43.0.10",
        local_storage="/storage",
        sign=lambda pem, usages, life, now: b"",
        sign_token=lambda claims: "",
    )
)


def test_every_controller_has_a_role_of_its_own() -> None:
    roles = {role["metadata"]["name"] for role in rbac.objects()}
    prefixes = ("system:controller:", "knarr:controller:")
    names = {controller.name for controller in ALL if controller.name}
    assert all(any(prefix + name in roles for prefix in prefixes) for name in names)


def test_no_two_controllers_are_called_the_same() -> None:
    assert len({controller.label for controller in ALL}) == len(ALL)


def test_the_page_of_controllers_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "controllers.md"
    assert page.read_text() == table(ALL)
