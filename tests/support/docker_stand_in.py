"""A stand-in for ``docker``, for machines without its daemon: ``docker build`` and ``docker run``.

An image is a folder of ``$HOME/images``, with the files of the image in ``root``. Docker's own
parser reads the Dockerfile. ``RUN`` lines and commands are run as processes, with the variables of
the image. Its Python is a virtual environment, and each absolute path of the image is replaced by
the path of that file below ``root``.

What differs from Docker: nothing is isolated, ``USER`` is ignored, and every base image that is not
in ``$HOME/images`` is this Python.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

IMAGES = Path(os.environ["HOME"], "images")

#: The folders of an image that guides write to.
FOLDERS = ("opt", "srv", "tmp")


def install(folder: Path) -> str:
    """Write a program ``docker`` to a folder; return the folder, for PATH."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    program.chmod(0o755)
    return str(folder)


class Image:
    """An image, from the folder that it is in."""

    def __init__(self, tag: str) -> None:
        self.folder = IMAGES / re.sub(r"\W", "-", tag)
        self.root = self.folder / "root"
        self.settings: dict[str, Any] = {"env": {}, "cmd": [], "workdir": "/", "python": ""}
        if (self.folder / "image.json").exists():
            self.settings = json.loads((self.folder / "image.json").read_text())

    def start_from(self, tag: str) -> None:
        """Begin with the files and settings of another image, or with a Python."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        for name in FOLDERS:
            (self.root / name).mkdir()
        base = Image(tag)
        if base.root.exists():
            shutil.copytree(base.root, self.root, symlinks=True, dirs_exist_ok=True)
            self.settings = base.settings
            return
        python = self.folder / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(python)], check=True)
        pip = python / "bin" / "pip"
        interpreter = f"{python}/bin/python"
        pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --python {interpreter} "$@"\n')
        pip.chmod(0o755)
        self.settings["python"] = str(python / "bin")

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "image.json").write_text(json.dumps(self.settings))

    def here(self, text: str, mounts: dict[str, str] | None = None) -> str:
        """Replace each path of the image by the path that it has here."""
        paths = {**(mounts or {}), **{f"/{name}": f"{self.root}/{name}" for name in FOLDERS}}
        pattern = "|".join(map(re.escape, paths))
        return re.sub(rf"(?<![\w./$-])({pattern})\b", lambda found: paths[found[1]], text)

    def environment(self, mounts: dict[str, str] | None = None) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env["PATH"] = f"{self.settings['python']}:{os.environ['PATH']}"
        for name, value in self.settings["env"].items():
            env[name] = self.here(value, mounts)
        return env

    def run(
        self, command: list[str], mounts: dict[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.here(word, mounts) for word in command],
            cwd=self.here(self.settings["workdir"]),
            env=self.environment(mounts),
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            **options,
        )


def build(args: argparse.Namespace) -> None:
    import dockerfile

    image = Image(args.tag)
    for step in dockerfile.parse_file(args.file):
        words = list(step.value)
        if step.cmd.upper() == "FROM":
            image.save()  # the stage before, if it has a name
            image = Image(words[2] if len(words) > 1 else args.tag)  # FROM base AS name
            image.start_from(words[0])
        elif step.cmd.upper() == "ENV":
            for name, value in zip(words[::2], words[1::2]):
                echo = ["sh", "-c", f"printf %s {value}"]  # ${name:+word} means the same in a shell
                printed = subprocess.check_output(echo, env={**image.settings["env"]}, text=True)
                image.settings["env"][name] = printed
        elif step.cmd.upper() == "COPY":
            copy(image, args.context, [*step.flags], words)
        elif step.cmd.upper() == "ADD":
            shutil.unpack_archive(f"{args.context}/{words[0]}", image.here(words[1]))
        elif step.cmd.upper() == "WORKDIR":
            image.settings["workdir"] = words[0]
        elif step.cmd.upper() == "CMD":
            image.settings["cmd"] = words
        elif step.cmd.upper() == "RUN":
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            done = image.run(["sh", "-c", *words], **pipes)
            if done.returncode:  # only then ``docker build --quiet`` shows what was printed
                print(done.stdout)
                what = f'process "/bin/sh -c {words[0]}" did not complete successfully'
                fail(f"{what}: exit code: {done.returncode}")
        elif step.cmd.upper() != "USER":
            fail(f"unknown instruction: {step.cmd}")
    image.save()
    print("sha256:" + "0" * 64)


def copy(image: Image, context: str, flags: list[str], words: list[str]) -> None:
    *sources, target = words
    [source_image] = [flag.partition("=")[2] for flag in flags] or [""]
    for source in sources:
        if source_image:
            found = [Image(source_image).here(source)]
        else:
            found = glob.glob(f"{context}/{source}")
        if not found:
            fail(f"{source}: not found")
        for file in found:
            if os.path.isdir(file):
                shutil.copytree(file, image.here(target), symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(file, image.here(target))


def run(args: argparse.Namespace) -> None:
    mounts = {each.split(":")[1]: each.split(":")[0] for each in args.volume}
    image = Image(args.image)
    sys.exit(image.run(args.command or image.settings["cmd"], mounts).returncode)


def fail(message: str) -> NoReturn:
    sys.exit(f"ERROR: failed to build: failed to solve: {message}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("build")
    command.add_argument("--quiet", action="store_true")
    command.add_argument("--tag", required=True)
    command.add_argument("--file", default="Dockerfile")
    command.add_argument("context")
    command.set_defaults(do=build)
    command = commands.add_parser("run")
    command.add_argument("--rm", action="store_true")
    command.add_argument("--network")
    command.add_argument("--volume", action="append", default=[])
    command.add_argument("image")
    command.add_argument("command", nargs=argparse.REMAINDER)
    command.set_defaults(do=run)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
