"""Names: what is good, and the sentences for what is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knarr.api.validation import names


def test_subdomains_are_lower_case_labels_with_dots() -> None:
    assert names.dns_subdomain("a.b-c.1") == ()
    for bad in ("", "A", "a..b", "-a", "a-", "a_b", "a" * 254):
        assert names.dns_subdomain(bad), bad


def test_a_dotted_name_is_no_label_and_says_so() -> None:
    assert names.dns_label("a.b") == ("must not contain dots",)
    assert names.dns_label("a" * 64) == ("must be no more than 63 characters",)
    assert names.dns_label("1a") == ()


def test_port_names_have_a_letter_and_few_characters() -> None:
    assert names.port_name("http-2") == ()
    assert names.port_name("80") == ("must contain at least one letter (a-z)",)
    assert len(names.port_name("TOO-LONG-PORT-NAME")) == 3
    assert "must not contain consecutive hyphens" in names.port_name("a--b")


def test_addresses_with_leading_zeros_are_told_apart_from_no_addresses() -> None:
    assert names.ip("10.0.0.1") == names.ip("fd00::1") == ()
    assert names.ip("010.0.0.1") == ("must not have leading 0s",)
    assert names.ip("x") == names.ip("1.2.3") == names.ip("fe80::1%eth0") == (names.IP_WRONG,)
    assert names.ip_sloppy("010.0.0.1") == ()


def test_networks_have_no_bits_beyond_their_prefix() -> None:
    assert names.cidr("10.0.0.0/8") == ()
    assert names.cidr("10.0.0.7/24") == ("must not have bits set beyond the prefix length",)
    assert names.cidr_sloppy("10.0.0.7/24") == ()
    assert names.cidr("10.0.0.0") == names.cidr("10.0.0.0/33") == (names.CIDR_WRONG,)


def test_config_keys_are_file_names() -> None:
    assert names.config_key("a.B_c-1") == ()
    assert names.config_key("..") and names.config_key("..x") and names.config_key("a/b")


@given(st.text(max_size=80))
def test_every_good_label_is_a_good_subdomain_and_a_good_label_value(text: str) -> None:
    if not names.dns_label(text):
        assert not names.dns_subdomain(text)
        assert not names.label_value(text)
