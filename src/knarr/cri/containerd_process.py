"""Runs containerd for one node: its own configuration, root, state and socket, inside this process's network namespace.

A containerd that dies is started again; its containers live on under their shims. One that outlived a killed agent is
taken over as it is, unless its configuration changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.cri import pause
from knarr.cri.containerd import CriRuntime
from knarr.cri.programs import SBIN, find, find_cni_plugins
from knarr.cri.registry import hosts_toml
from knarr.cri.runtime import CriError

_log = logs.get("containerd")
_CAP_SYS_RESOURCE = 24
_START_DEADLINE = 30.0
#: Plugins a node never uses; each one off shortens the start.
_DISABLED = (
    "io.containerd.internal.v1.opt",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)


@dataclass(frozen=True, slots=True)
class ContainerdOptions:
    """Where one node's containerd lives.

    `root` keeps images and is persistent, `state` may lie on a tmpfs (socket and pid file are there; its path must be
    short), `certs` holds a folder per registry with a `hosts.toml`, `cni_conf` is filled by the pod network.
    """

    root: Path
    state: Path
    cni_conf: Path
    certs: Path
    log: Path
    snapshotter: str = "overlayfs"

    @property
    def socket(self) -> Path:
        """The CRI socket."""
        return self.state / "containerd.sock"

    @property
    def content(self) -> Path:
        """The folder of blobs by digest."""
        return self.root / "io.containerd.content.v1.content" / "blobs"


def lacks_oom_capability(status: str) -> bool:
    """Whether a `/proc/self/status` shows no CAP_SYS_RESOURCE, so that no oom_score_adj can be lowered."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return not int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1
    return False


def render_config(options: ContainerdOptions, *, restrict_oom: bool) -> str:
    """The configuration file of containerd. Raises `MissingProgram`."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    disabled = ", ".join(f'"{name}"' for name in _DISABLED)
    lines = [
        "version = 2",
        f'root = "{options.root}"',
        f'state = "{options.state}"',
        f"disabled_plugins = [{disabled}]",
        "[grpc]",
        f'  address = "{options.socket}"',
        f"[{cri}]",
        f'  sandbox_image = "{pause.IMAGE}"',
        "  netns_mounts_under_state_dir = true",
        "  disable_apparmor = true",
        "  enable_selinux = false",
        f"  restrict_oom_score_adj = {str(restrict_oom).lower()}",
        "  disable_hugetlb_controller = true",
        "  tolerate_missing_hugetlb_controller = true",
        "  enable_unprivileged_ports = true",
        "  enable_unprivileged_icmp = true",
        '  stream_server_address = "127.0.0.1"',
        '  stream_server_port = "0"',
        f"  [{cri}.cni]",
        f'    bin_dir = "{find_cni_plugins()}"',
        f'    conf_dir = "{options.cni_conf}"',
        "    max_conf_num = 1",
        f"  [{cri}.registry]",
        f'    config_path = "{options.certs}"',
        f"  [{cri}.containerd]",
        f'    snapshotter = "{options.snapshotter}"',
        '    default_runtime_name = "runc"',
    ]
    for handler, program in _handlers().items():
        lines += [
            f"    [{cri}.containerd.runtimes.{handler}]",
            '      runtime_type = "io.containerd.runc.v2"',
            f"      [{cri}.containerd.runtimes.{handler}.options]",
            f'        BinaryName = "{program}"',
            f'        Root = "{options.state / handler}"',
            "        SystemdCgroup = false",
        ]
    return "\n".join(lines) + "\n"


def _handlers() -> dict[str, str]:
    handlers = {"runc": find("runc", "runc")}
    crun = shutil.which("crun")
    if crun is not None:
        handlers["crun"] = crun
    return handlers


class ContainerdProcess:
    """One node's containerd, supervised."""

    def __init__(self, options: ContainerdOptions, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        self._pid = 0
        self._stopping = False
        self._config = options.state / "config.toml"
        self._pidfile = options.state / "containerd.pid"

    def write_mirror(self, port: int) -> None:
        """Make the registry on this loopback port the first that every pull asks."""
        for registry in ("_default", "docker.io"):
            folder = self.options.certs / registry
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "hosts.toml").write_text(hosts_toml(port))

    async def start(self) -> None:
        """Start containerd, or take over the one that runs, and wait until it answers."""
        for folder in (self.options.root, self.options.state, self.options.cni_conf, self.options.certs):
            folder.mkdir(parents=True, exist_ok=True)
        restrict = lacks_oom_capability(Path("/proc/self/status").read_text())
        config = render_config(self.options, restrict_oom=restrict)
        running = self._running()
        same = self._config.exists() and self._config.read_text() == config
        if running and not same:
            await _end(running)
            running = 0
        self._config.write_text(config)
        self._stopping = False
        self._pid = running or self._spawn()
        await self._until_ready()

    def _running(self) -> int:
        """The process of an earlier start that still runs with our configuration, or 0.

        By its command line: an agent that was killed may not have come to write the pid down.
        """
        wanted = f"\0-c\0{self._config}\0".encode()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{entry}/cmdline").read_bytes().endswith(wanted):
                    return int(entry)
        return 0

    def _spawn(self) -> int:
        program = find("containerd", "containerd")
        self.options.log.parent.mkdir(parents=True, exist_ok=True)
        # Opened anew on each start; what the last one wrote is kept beside it.
        if self.options.log.exists():
            self.options.log.replace(self.options.log.with_suffix(".old"))
        output = os.open(self.options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
        try:
            pid = os.posix_spawn(
                program, [program, "-c", str(self._config)], environment, file_actions=actions, setsid=True
            )
        finally:
            os.close(output)
            os.close(null)
        self._pidfile.write_text(str(pid))
        _log.info("started", pid=pid, socket=self.options.socket)
        return pid

    async def _until_ready(self) -> None:
        deadline = self._clock.monotonic() + _START_DEADLINE
        while True:
            runtime = CriRuntime(str(self.options.socket))
            try:
                await runtime.version()
                return
            except CriError as error:
                if not _alive(self._pid):
                    raise CriError("Unavailable", f"containerd ended at its start: see {self.options.log}") from error
                if self._clock.monotonic() > deadline:
                    raise
            finally:
                await runtime.close()
            await self._clock.sleep(0.02)

    async def supervise(self) -> None:
        """Whenever containerd ends, start it again, until `stop`."""
        while True:
            await _ended(self._pid)
            if self._stopping:
                return
            _log.warning("containerd ended, starting it again", pid=self._pid)
            try:
                self._pid = self._spawn()
                await self._until_ready()
            except (CriError, OSError) as error:
                _log.warning("containerd does not start", error=error)
                await self._clock.sleep(1)

    async def stop(self) -> None:
        """End containerd; containers keep running."""
        if self._stopping:
            return
        self._stopping = True
        if self._pid:
            await _end(self._pid)
            self._pidfile.unlink(missing_ok=True)


async def stop_leftover(options: ContainerdOptions, clock: Clock) -> None:
    """End a containerd that an agent which is gone left behind."""
    process = ContainerdProcess(options, clock)
    process._pid = process._running()  # noqa: SLF001 - same module
    await process.stop()


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _ended(pid: int) -> None:
    """Wait until a process, child or not, has ended; a child is reaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_reader(descriptor, done.set)
    try:
        await done.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    _alive(pid)


async def _end(pid: int, grace: float = 5.0) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        try:
            await asyncio.wait_for(_ended(pid), grace)
            return
        except TimeoutError:
            continue
