"""Which floors and options are understood, and that the stricter of two wins."""

from __future__ import annotations

import os
import pickle
import ssl
import sys
from pathlib import Path

import pytest
from tlsfloor import errors, policy

SPELLINGS = {
    "1.0": 0x0301,
    "TLSv1": 0x0301,
    "1.2": 0x0303,
    " 1.2 ": 0x0303,
    "TLSv1.2": 0x0303,
    "TLS 1.2": 0x0303,
    "tls1.2": 0x0303,
    "TLSv1_2": 0x0303,
    "VersionTLS12": 0x0303,
    "versiontls13": 0x0304,
    ssl.TLSVersion.TLSv1_3: 0x0304,
    0x0303: 0x0303,
}

NONSENSE = [
    "",
    " ",
    "1",
    "12",
    "1.4",
    "2",
    "SSLv3",
    "off",
    "TLS",
    "1.2.3",
    None,
    1.2,
    True,
    3,
    12,
    b"1.2",
    ssl.TLSVersion.MINIMUM_SUPPORTED,
    ssl.TLSVersion.SSLv3,
    ssl.PROTOCOL_TLS_CLIENT,
    ["1.2"],
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=repr)
def test_every_usual_spelling_of_a_floor_is_understood(spelling: object) -> None:
    assert policy.floor_of(spelling, "a test") == SPELLINGS[spelling]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_anything_else_is_an_error_that_names_the_value_and_who_asked(value: object) -> None:
    with pytest.raises(errors.PolicyError) as caught:
        policy.floor_of(value, "TLSFLOOR")
    assert caught.value.value is value
    assert caught.value.source == "TLSFLOOR"
    assert "TLSFLOOR" in caught.value.problem
    assert "1.2" in caught.value.hint
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.__dict__) == (str(caught.value), caught.value.__dict__)


@pytest.mark.parametrize(
    ("environment", "floor"),
    [
        ({}, 0x0303),
        ({"TLSFLOOR": "1.3"}, 0x0304),
        ({"TLSFLOOR": "1.0"}, 0x0301),
        ({"TLS_MIN_VERSION": "VersionTLS13"}, 0x0304),
        ({"TLS_MIN_VERSION": "1.3"}, 0x0304),
        # A cluster's knob raises the default and never lowers it ...
        ({"TLS_MIN_VERSION": "VersionTLS10"}, 0x0303),
        # ... and raises what somebody else asked for.
        ({"TLSFLOOR": "1.0", "TLS_MIN_VERSION": "VersionTLS11"}, 0x0302),
        ({"TLSFLOOR": "1.3", "TLS_MIN_VERSION": "VersionTLS12"}, 0x0304),
    ],
    ids=str,
)
def test_a_process_starts_with_the_strictest_floor_it_was_asked_for(
    environment: dict[str, str], floor: int
) -> None:
    assert policy.startup_floor(environment) == floor


OBSERVE = {"TLSFLOOR_MODE": "observe"}


@pytest.mark.parametrize(
    ("environment", "written", "floors"),
    [
        ({}, None, [(0x0303, "enforce")]),
        (OBSERVE, None, [(0x0303, "observe")]),
        # The environment raises an installed floor, and never lowers it.
        ({}, "1.3", [(0x0304, "enforce")]),
        ({"TLSFLOOR": "1.0"}, "1.2", [(0x0303, "enforce")]),
        ({"TLSFLOOR": "1.3"}, "1.2", [(0x0304, "enforce")]),
        # It is held, whatever else is observed.
        ({**OBSERVE, "TLSFLOOR": "1.3"}, "1.2", [(0x0303, "enforce"), (0x0304, "observe")]),
        ({**OBSERVE, "TLSFLOOR": "1.2"}, "1.2", [(0x0303, "enforce")]),
    ],
    ids=str,
)
def test_an_installed_floor_is_held_in_any_mode(
    environment: dict[str, str], written: str | None, floors: list[tuple[int, str]]
) -> None:
    assert policy.startup_floors(environment, written) == floors


@pytest.mark.parametrize(
    "environment",
    [
        {"TLSFLOOR": ""},
        {"TLSFLOOR": "1.2", "TLS_MIN_VERSION": ""},
        {"TLS_MIN_VERSION": "off"},
        {"TLSFLOOR_ON_ERROR": ""},
        {"TLSFLOOR_ON_ERROR": "Block"},
        {"TLSFLOOR": "1.2", "TLSFLOOR_ON_ERROR": "ignore"},
        {"TLSFLOOR_MODE": "watch"},
        {"TLSFLOOR_UNCOVERED": "ignore"},
        {"TLSFLOOR_UNKNOWN": "ignore"},
        {"TLSFLOOR_STACKS": "pycurl"},
        {"TLSFLOOR_STACKS": "pycurl=warn,grpcio=ignore"},
    ],
    ids=str,
)
def test_a_variable_that_is_set_and_means_nothing_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(errors.PolicyError) as caught:
        policy.startup_floors(environment)
    assert caught.value.source in environment


def test_what_is_wanted_for_stacks_is_for_all_and_by_name() -> None:
    assert policy.uncovered_in({}) == (None, {})
    environment = {"TLSFLOOR_UNCOVERED": "block", "TLSFLOOR_STACKS": "pycurl = warn, grpcio=block"}
    assert policy.uncovered_in(environment) == ("block", {"pycurl": "warn", "grpcio": "block"})
    assert policy.unknown_in({}) is None
    assert policy.unknown_in({"TLSFLOOR_UNKNOWN": "block"}) == "block"
    with pytest.raises(errors.PolicyError, match="stacks of a call is of type str") as caught:
        policy.check_uncovered(None, "pycurl=warn", "another", "a call")  # type: ignore[arg-type]
    assert caught.value.source == "a call"


def test_relative_paths_become_absolute_for_this_process_and_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSFLOOR_EXEMPTIONS", "mine.toml")
    for events in ("-", "", str(tmp_path / "events")):
        environment = {"TLSFLOOR_EVENTS": events, "TLSFLOOR_EXEMPTIONS": "mine.toml"}
        policy.resolve_paths(environment)
        assert environment == {
            "TLSFLOOR_EVENTS": events,
            "TLSFLOOR_EXEMPTIONS": os.path.join(os.getcwd(), "mine.toml"),
        }
        assert os.environ["TLSFLOOR_EXEMPTIONS"] == environment["TLSFLOOR_EXEMPTIONS"]
    nothing: dict[str, str] = {}
    policy.resolve_paths(nothing)
    assert nothing == {}


@pytest.mark.skipif(os.name != "posix", reason="a current folder cannot be removed")
def test_a_relative_path_in_a_folder_that_is_gone_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(errors.PolicyError) as caught:
        policy.resolve_paths({"TLSFLOOR_EVENTS": "events"})
    assert caught.value.source == "TLSFLOOR_EVENTS"


def test_a_startup_file_on_the_path_that_did_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "tlsfloor" / "bootstrap"
    empty.mkdir(parents=True)
    (tmp_path / "sitecustomize.py").touch()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(empty)])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delattr(sys, "_tlsfloor", raising=False)
    assert policy.unrun_startup_file() == ""
    monkeypatch.setenv("PYTHONPATH", policy.BOOTSTRAP)
    assert f"start-up file in {policy.BOOTSTRAP};" in policy.unrun_startup_file()
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(sys, "path", [*sys.path, policy.BOOTSTRAP])
    assert f"start-up file in {policy.BOOTSTRAP};" in policy.unrun_startup_file()
    file = os.path.join(policy.BOOTSTRAP, "sitecustomize.py")
    monkeypatch.setattr(sys, "_tlsfloor", {"ran": [file]}, raising=False)
    assert policy.unrun_startup_file() == ""


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("opentelemetry.instrumentation.auto_instrumentation.sitecustomize", True),
        ("opentelemetry.metrics", False),
        (None, False),
    ],
)
def test_a_call_by_the_startup_file_of_opentelemetry_is_seen(name: str | None, is_it: bool) -> None:
    names = {"__name__": name, "ask": lambda: policy.is_called_by_opentelemetry()}
    exec("found = ask()", names)
    assert names["found"] is is_it


def test_a_bundle_has_the_name_that_it_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path.resolve() / "bundle-1" / "tlsfloor"
    package.mkdir(parents=True)
    bootstrap = str(package / "bootstrap")
    monkeypatch.setattr(policy, "BOOTSTRAP", bootstrap)
    assert policy.bootstrap_folder() == bootstrap
    link = tmp_path.resolve() / "tlsfloor"
    link.symlink_to(package, target_is_directory=True)
    assert policy.bootstrap_folder() == str(link / "bootstrap")


def test_children_get_the_floor_and_the_mode_that_applies_to_it() -> None:
    floor = {"TLSFLOOR": "1.3", "PYTHONPATH": os.pathsep.join([policy.BOOTSTRAP, "/mine"])}
    path = os.pathsep.join(["", "/mine", policy.BOOTSTRAP, "/mine"])
    assert policy.for_children({"PYTHONPATH": path}, 0x0304) == floor
    observed = {**floor, "TLSFLOOR_MODE": "observe"}
    assert policy.for_children({"PYTHONPATH": "/mine"}, 0x0304, "observe") == observed
    held = {**floor, "TLSFLOOR_MODE": "enforce"}
    assert policy.for_children({**OBSERVE, "PYTHONPATH": "/mine"}, 0x0304) == held


@pytest.mark.parametrize(
    ("environment", "written", "text"),
    [
        ({}, None, policy.CHILDREN_NOT_ARMED),
        ({"PYTHONPATH": ""}, None, policy.CHILDREN_NOT_ARMED),
        ({"PYTHONPATH": policy.BOOTSTRAP, "TLSFLOOR": "off"}, None, policy.CHILDREN_NOT_ARMED),
        (
            {"PYTHONPATH": os.pathsep.join(["/mine", policy.BOOTSTRAP])},
            None,
            "floor 1.2, if they keep the environment, except with -E, -I or -S",
        ),
        ({}, "1.3", "floor 1.3, except with -S"),
        (
            {**OBSERVE, "TLSFLOOR": "1.3"},
            "1.2",
            "floor 1.2 and floor 1.3 observed, and not held, except with -S",
        ),
    ],
    ids=str,
)
def test_what_holds_in_children_is_one_line(
    environment: dict[str, str], written: str | None, text: str
) -> None:
    assert policy.describe_children(environment, written) == text


def test_children_whose_environment_is_broken_cannot_be_armed() -> None:
    text = policy.describe_children({"TLSFLOOR": "nonsense"}, "1.2")
    assert text.startswith("they cannot be armed: TLSFLOOR")


def test_off_applies_to_the_startup_routes_only() -> None:
    assert policy.is_off({"TLSFLOOR": "OFF "})
    assert not policy.is_off({"TLSFLOOR": "1.2"})
    assert policy.floor_in({"TLSFLOOR": "off"}) is None
    assert policy.floor_in({"TLSFLOOR": "off", "TLS_MIN_VERSION": "1.3"}) == 0x0304
