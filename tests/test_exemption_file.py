"""The file of exemptions: what an entry says, whose file it is, and that errors are reported."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entries import entry, TODAY
from programs import clean_environment, python
from tlsfloor import exemptions
from tlsfloor.versions import TLS1_0

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[list[exemptions.Exemption], list[str]]]]:
    """A function that loads entries and returns what is known, and the problems on stderr."""

    def function(
        *entries: str, installed: bool = False
    ) -> tuple[list[exemptions.Exemption], list[str]]:
        file = tmp_path / "exemptions.toml"
        file.write_text("\n".join(entries), "utf-8")
        exemptions.load(str(file), installed=installed)
        said = capsys.readouterr().err.replace(str(file), "{}").splitlines()
        assert [line.replace("{}", str(file)) for line in said] == [
            f"tlsfloor: error: {problem}" for problem in exemptions.problems
        ]
        return list(exemptions.known), [line.partition(": error: ")[2] for line in said]

    yield function
    exemptions.known.clear()
    exemptions.problems.clear()


def test_an_entry_applies_until_the_end_of_its_last_day(load: Callable) -> None:
    for left in (30, 0, -1):
        day = str(TODAY + dt.timedelta(days=left))
        [found], problems = load(entry(expires=day, reason=" old "))
        assert found == ("old.example.com", None, TLS1_0, "old", day)
        assert found.days_left() == left
        assert found.as_dict() == {
            "host": "old.example.com",
            "port": None,
            "minimum": "1.0",
            "reason": "old",
            "expires": day,
            "days_left": left,
            "applies": left >= 0,
        }
        expired = f"the exemption of old.example.com does not apply: it expired on {day}"
        assert problems == [expired] * (left < 0)


def test_an_installed_floor_has_none(load: Callable) -> None:
    problem = "no exemption of {} applies: an installed floor has none"
    assert load(entry(), installed=True) == ([], [problem])


def test_a_second_file_replaces_the_first(load: Callable) -> None:
    load(entry(host="other.example.com"), entry(reason=""))
    [found], problems = load(entry())
    assert (found.host, problems) == ("old.example.com", [])


@pytest.mark.parametrize("port", [1, 443, 65535])
def test_a_port_is_a_number_of_16_bits(port: int, load: Callable) -> None:
    assert [each.port for each in load(entry(port=port))[0]] == [port]


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("*.example.com", "*.example.com"),
        ("my_host-1.example.com", "my_host-1.example.com"),
        (" OLD.example.com. ", "old.example.com"),
        ("localhost", "localhost"),
        ("1.example.com", "1.example.com"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2001:DB8:0::A", "2001:db8::a"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_host_has_the_form_in_which_hosts_are_compared(
    written: str, host: str, load: Callable
) -> None:
    found, problems = load(entry(host=written))
    assert ([each.host for each in found], problems) == ([host], [])


@pytest.mark.parametrize(
    ("host", "names", "others"),
    [
        ("old.example.com", ["OLD.example.com.", b"old.example.com"], ["a.old.example.com", ""]),
        (
            "*.example.com",
            ["a.example.com", "a.b.example.com"],
            ["example.com", ".example.com", "notexample.com"],
        ),
        ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1"], ["127.0.0.2", "127.0.0.1%1", None]),
        ("fe80::1", ["FE80:0::1", "fe80::1%eth0"], ["fe80::2", "%eth0"]),
        ("host1", ["host1"], ["host2"]),
    ],
)
def test_an_exemption_is_of_what_it_names_and_no_other(
    host: str, names: list[object], others: list[object], load: Callable
) -> None:
    if host != "host1":
        load(entry(host=host))
    else:  # a name of a search domain, which a file cannot have
        exemptions.known[:] = [exemptions.Exemption(host, None, TLS1_0, "x", str(TODAY))]
    for name in names:
        assert exemptions.exemption_for(name, None, 443)
    for name in others:
        assert exemptions.exemption_for(name, None, 443) is None


def test_an_address_is_compared_with_that_of_the_peer(load: Callable) -> None:
    load(entry(host="127.0.0.1"))
    assert exemptions.exemption_for("other.example.com", "127.0.0.1", None)
    assert exemptions.exemption_for("other.example.com", "127.0.0.2", None) is None


def test_of_several_exemptions_the_one_that_lasts_longest_counts(load: Callable) -> None:
    days = [str(TODAY + dt.timedelta(days=left)) for left in (1, 3, 2)]
    load(*[entry(expires=day, port=port) for day, port in zip(days, (443, 8443, 443))])
    for port, day in ((443, days[2]), (8443, days[1])):
        found = exemptions.exemption_for("old.example.com", None, port)
        assert found is not None
        assert found.expires == day
    for port in (None, 1):
        assert exemptions.exemption_for("old.example.com", None, port) is None


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (entry(reason=None), "exemption 1 of {} does not apply: it has no reason"),
        (entry(reason=" "), "exemption 1 of {} does not apply: it has no reason"),
        (entry(expires=None), "exemption 1 of {} does not apply: it has no expires"),
        (entry().replace("expires", "expires = 2027-03-31T00:00:00\n#"), "is not a day: write"),
        (entry(expires="soon"), "does not apply: soon is not a day"),
        (entry(minimum=None), "exemption 1 of {} does not apply: it has no minimum"),
        (entry(minimum="0.9"), "does not apply: '0.9' is not a TLS version"),
        (entry(host=None), "exemption 1 of {} does not apply: it has no host"),
        (entry(host="*"), "does not apply: '*' is too wide"),
        (entry(host="*.com"), "does not apply: '*.com' is too wide"),
        (entry(host="old.*.com"), "does not apply: 'old.*.com' is too wide"),
        (entry(host="*.old*.com"), "does not apply: '*.old*.com' is too wide"),
        (entry(host="*..com"), "does not apply: '*..com' is not a host"),
        (entry(host="."), "does not apply: '.' is not a host"),
        (entry(host="%"), "does not apply: '%' is not a host"),
        (entry(host="%old.example.com"), "does not apply: '%old.example.com' is not a host"),
        (entry(host="old.example.com%1"), "does not apply: 'old.example.com%1' is not a host"),
        (entry(host="old.example.com:443"), "does not apply: 'old.example.com:443' is not a host"),
        (entry(host="https://old.example.com"), "'https://old.example.com' is not a host: write a"),
        (entry(host="example.1"), "does not apply: 'example.1' is not a host"),
        (entry(host="127.0.0.256"), "does not apply: '127.0.0.256' is not a host"),
        (entry(host="old .example.com"), "does not apply: 'old .example.com' is not a host"),
        (entry(host="\u2028.example.com"), "is not a host"),
        ("x = " + "[" * 5000, "no exemption can be read from {}: it is nested too deeply"),
        (entry(port=0), "does not apply: 0 is not a port"),
        (entry(port=65536), "does not apply: 65536 is not a port"),
        (entry(port=-1), "does not apply: -1 is not a port"),
        (entry().replace("host", "port = true\nhost"), "does not apply: True is not a port"),
        (entry(port="443"), "does not apply: '443' is not a port"),
        (entry(minimun="1.0"), "unknown key 'minimun'; did you mean minimum"),
        (
            entry().replace("[[exemption]]", "[[exempt]]"),
            "no exemption of {} applies: it has exempt",
        ),
        (entry().replace("[[exemption]]", "[exemption]"), "where [[exemption]] is meant"),
        (entry(porst=1), "unknown key 'porst'; did you mean port"),
        (entry(zzz=1), "exemption 1 of {} does not apply: unknown key 'zzz'"),
        ("exemption = [1]", "exemption 1 of {} does not apply: it is not a table"),
        ("exemption = 1", "it has one exemption, where [[exemption]] is meant"),
        ("x = 1\nexemption = []", "no exemption of {} applies: it has x, where [[exemption]]"),
        ("[[exemption", "no exemption can be read from {}: "),
    ],
)
def test_an_invalid_entry_does_not_apply_and_is_reported(
    wrong: str, problem: str, load: Callable
) -> None:
    found, problems = load(wrong)
    assert found == []
    assert len(problems) == 1
    assert problem in problems[0]
    if "unknown key 'zzz'" in problem:
        assert problems == [problem]
    # It has no effect on an entry after it, which has the next number.
    if wrong.startswith("[[exemption]]") and "does not apply" in problem:
        [found], problems = load(wrong, entry(), entry(reason=""))
        assert found.host == "old.example.com"
        assert problems[1:] == ["exemption 3 of {} does not apply: it has no reason"]


def test_what_reads_addresses_is_loaded_with_the_file(tmp_path: Path) -> None:
    """After a ``chroot()``, it may not be found."""
    program = """
import sys
from tlsfloor import exemptions
exemptions.load(sys.argv[1], installed=False)
print("ipaddress" in sys.modules)
"""
    for text, loaded in ((entry(), True), ("", False)):
        (tmp_path / "file").write_text(text)
        done = python("-c", program, str(tmp_path / "file"), env=clean_environment())
        assert (done.stdout, done.stderr) == (f"{loaded}\n", "")


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    file = str(tmp_path / "none")
    problem = f"no exemption can be read from {file}: No such file or directory"
    assert exemptions._read_file(file) == ([], [problem])
    (tmp_path / "none").write_bytes(b"\xff")
    assert "can't decode" in exemptions._read_file(file)[1][0]


# --- whose file it is


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "problem"),
    [
        (0o644, 0o755, ""),
        (0o664, 0o775, ""),
        (0o644, 0o1777, ""),  # as /tmp: others may not replace it
        (0o646, 0o755, "everyone may write it; hint: chmod o-w "),
        (0o666, 0o1777, "everyone may write it; hint: chmod o-w "),
        (0o644, 0o777, "everyone may replace it; hint: chmod o-w "),
    ],
)
@pytest.mark.parametrize("below", [".", "conf"])
def test_a_file_that_others_may_write_does_not_apply(
    file_mode: int, folder_mode: int, problem: str, below: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / below).mkdir(parents=True)
    file = folder / below / "file"
    file.write_text(entry())
    file.chmod(file_mode)
    folder.chmod(folder_mode)
    place = file if "write" in problem else folder
    found, problems = exemptions._read_file(str(file))
    assert [each.host for each in found] == ["old.example.com"] * (not problem)
    assert problems == ([f"no exemption can be read from {file}: {problem}{place}"] * bool(problem))


@pytest.mark.skipif(os.name != "posix" or os.geteuid(), reason="needs root")
def test_a_file_in_a_folder_that_others_may_replace_does_not_apply(tmp_path: Path) -> None:
    folder = tmp_path / "sticky" / "theirs"
    folder.mkdir(parents=True)
    (folder / "file").write_text(entry())
    os.chown(folder, 65534, 65534)
    assert exemptions._read_file(str(folder / "file"))[1] == []
    folder.parent.chmod(0o1777)
    problem = f"everyone may replace it; hint: move it out of {folder.parent}"
    assert problem in exemptions._read_file(str(folder / "file"))[1][0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_an_unsafe_link_does_not_apply(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is not a regular file" in exemptions._read_file(str(tmp_path / "pipe"))[1][0]
    assert "it is not a regular file" in exemptions._read_file(str(tmp_path))[1][0]
    (tmp_path / "real").write_text(entry())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "real")
    assert exemptions._read_file(str(folder / "link"))[1] == []
    folder.chmod(0o1777)
    assert "is not followed" in exemptions._read_file(str(folder / "link"))[1][0]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_valid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "exemptions.toml"
    file.write_text(text)
    assert exemptions._read_file(str(file)) == ([], [])
