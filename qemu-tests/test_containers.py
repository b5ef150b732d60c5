"""PID 1 keeps the container running, and does with it what it is told."""


SERVING = r"web \| web: serving on :80"


def pid_of(guest, name="web"):
    return int(guest.ssh(f"cat /run/containers/{name}/pid").ok())


def state_of(guest, name="web"):
    lines = guest.ssh("sampan status").ok().splitlines()
    return next(line for line in lines if name in line.split())


def test_a_killed_container_is_started_again(q35):
    killed, since = pid_of(q35), q35.mark()
    q35.ssh(f"kill -9 {killed}").ok()
    q35.wait_for(SERVING, since=since)
    assert "Sampan" in q35.http()
    assert pid_of(q35) != killed


def test_a_stopped_container_stays_down_until_it_is_started(q35):
    stopped = pid_of(q35)
    q35.ssh("sampan stop web").ok()
    assert "up" not in state_of(q35).split()
    assert q35.ssh(f"test -e /proc/{stopped}").status == 1
    assert ":80 " not in q35.ssh("netstat -ltn").ok()
    since = q35.mark()
    q35.ssh("sampan start web").ok()
    q35.wait_for(SERVING, since=since)
    assert "Sampan" in q35.http()
    assert "up" in state_of(q35).split()


def test_restart_gives_the_container_a_new_process(q35):
    before, since = pid_of(q35), q35.mark()
    q35.ssh("sampan restart web").ok()
    q35.wait_for(SERVING, since=since)
    assert "Sampan" in q35.http()
    assert pid_of(q35) != before


def test_logs_shows_what_the_container_wrote(q35):
    assert "web: serving on :80" in q35.ssh("sampan logs web").ok()


def test_an_unknown_container_is_refused_by_name(q35):
    done = q35.ssh("sampan stop nobody-knows-this")
    assert done.status != 0
    assert "nobody-knows-this" in done.output


def test_what_a_container_writes_to_its_root_is_gone_after_a_restart(q35):
    """Its root filesystem is in the image; the layer above it is memory."""
    root = "/proc/$(cat /run/containers/web/pid)/root"
    q35.ssh(f"echo changed >{root}/www/index.html").ok()
    assert q35.http() == "changed\n"
    since = q35.mark()
    q35.ssh("sampan restart web").ok()
    q35.wait_for(SERVING, since=since)
    assert "Sampan" in q35.http()


def lower_of(guest):
    """What the container's read-only layer is mounted from."""
    return guest.ssh("sed -n 's|\\([^ ]*\\) /run/containers/web/lower erofs .*|\\1|p' /proc/mounts").ok()


def test_its_image_is_mounted_as_a_file(q35):
    assert lower_of(q35) == "/containers/web/rootfs.erofs"


def test_its_image_is_mounted_through_a_loop_device_on_tmpfs(boot):
    """Linux cannot mount a file on tmpfs, which an initramfs is unless the command line says ramfs."""
    with_tmpfs = boot("q35", append="rootfstype=tmpfs")
    with_tmpfs.boot()
    assert "Sampan" in with_tmpfs.http()
    assert lower_of(with_tmpfs).startswith("/dev/loop")
