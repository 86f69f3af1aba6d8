"""Images made of programs that this machine has (or Debian's packages bring): nginx, busybox, python.

Usage: scripts/demo_image.py nginx|busybox|python OUT.tar [--tag TAG]
A program comes with its shared libraries and busybox's tools beside it, so that `kubectl exec` and `cp` work.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from knarr.cri.image_builder import Recipe, build

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"
NGINX_CONF = b"""user www-data;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    types { text/html html; text/css css; text/plain txt; application/javascript js; image/png png; image/svg+xml svg; }
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    include /etc/nginx/conf.d/*.conf;
}
"""
NGINX_SERVER = b"""server {
    listen 80;
    location / { root /usr/share/nginx/html; index index.html; }
}
"""
NGINX_PAGE = b"<!DOCTYPE html><title>Welcome to nginx!</title><h1>Welcome to nginx!</h1><p>Served by knarr.</p>\n"


def main() -> None:
    """Write one image."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("image", choices=sorted(RECIPES))
    parser.add_argument("out", type=Path)
    parser.add_argument("--tag", default="latest")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.image](f"docker.io/library/{arguments.image}:{arguments.tag}")
    arguments.out.write_bytes(build(recipe))
    print(f"{recipe.name} in {arguments.out} ({arguments.out.stat().st_size / 1e6:.1f} MB)")


def busybox(name: str) -> Recipe:
    """Like Docker's busybox: a shell."""
    return Recipe(name, _base(), _links(), ["tmp", "root", "var"], command=["sh"])


def nginx(name: str) -> Recipe:
    """Like Docker's nginx: port 80, `/etc/nginx/conf.d`, `/usr/share/nginx/html`."""
    files = _base() | _program(_find("nginx", "nginx-light"))
    files["etc/nginx/nginx.conf"] = (NGINX_CONF, 0o644)
    files["etc/nginx/conf.d/default.conf"] = (NGINX_SERVER, 0o644)
    files["usr/share/nginx/html/index.html"] = (NGINX_PAGE, 0o644)
    links = _links() | {"var/log/nginx/access.log": "/dev/stdout", "var/log/nginx/error.log": "/dev/stderr"}
    folders = ["tmp", "root", "run", "var/lib/nginx", "var/cache/nginx"]
    return Recipe(name, files, links, folders, command=["nginx", "-g", "daemon off;"])


def python(name: str) -> Recipe:
    """Like Docker's python: the interpreter and its library."""
    program = Path(os.path.realpath(_find("/usr/bin/python3", "python3")))
    library = Path("/usr/lib") / program.name
    files = _base() | _program(program)
    for path in sorted(library.rglob("*")):
        wanted = path.suffix in (".py", ".so") and not {"test", "idlelib", "lib2to3"} & set(path.parts)
        if wanted and path.is_file() and (path.suffix == ".py" or not path.is_symlink()):
            files[str(path).lstrip("/")] = (path.read_bytes(), 0o644)
            if path.suffix == ".so":
                files |= _libraries(path)
    links = _links() | {"usr/bin/python3": program.name, "usr/bin/python": program.name}
    return Recipe(name, files, links, ["tmp", "root"], command=["python3"])


RECIPES = {"busybox": busybox, "nginx": nginx, "python": python}


def _base() -> dict[str, tuple[bytes, int]]:
    return {
        "bin/busybox": (_find("busybox", "busybox-static").read_bytes(), 0o755),
        "etc/passwd": (PASSWD, 0o644),
        "etc/group": (GROUP, 0o644),
        "etc/nsswitch.conf": (b"hosts: files dns\n", 0o644),
    }


def _links() -> dict[str, str]:
    listed = subprocess.run([_find("busybox", "busybox-static"), "--list"], capture_output=True, text=True, check=True)
    return {f"bin/{tool}": "busybox" for tool in listed.stdout.split() if tool != "busybox"}


def _program(path: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path).lstrip("/"): (path.read_bytes(), 0o755)} | _libraries(path)


def _libraries(path: Path) -> dict[str, tuple[bytes, int]]:
    """The shared libraries of a program, where the loader looks for them."""
    listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    return {name.lstrip("/"): (Path(name).read_bytes(), 0o755) for name in _paths(listed)}


def _paths(listed: str) -> Iterable[str]:
    return dict.fromkeys(re.findall(r"(?:=> )?(/\S+) \(0x", listed))


def _find(program: str, package: str) -> Path:
    """A program of this machine; Debian's package is unpacked for it where it is missing."""
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        guard = Path("/usr/sbin/policy-rc.d")
        made = not guard.exists()
        if made:
            # The package's own service is not to start.
            guard.write_text("#!/bin/sh\nexit 101\n")
            guard.chmod(0o755)
        try:
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True)
        finally:
            if made:
                guard.unlink()
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        sys.exit(f"{program} is not on this machine, and package {package} did not bring it")
    return Path(found)


if __name__ == "__main__":
    main()
