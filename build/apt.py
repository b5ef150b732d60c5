"""A private apt configuration for Debian trixie, derived from the machine's own.

The machine's sources say where its Debian archive is; the same archive serves trixie. Everything
else that apt does (proxies, credentials, retries from apt.conf.d; signatures) stays as the machine
has it, but lists, state and downloads live in the cache and the system's are never touched.
"""

import glob
import itertools
import os
import re
import subprocess

SUITE = "trixie"
ARCHITECTURES = ("amd64", "arm64")
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)
CODENAMES = "oldstable|stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke"
NO_ARCHIVE = """this machine's apt has no Debian archive configured ({looked}).
Set SAMPAN_DEBIAN_MIRROR to the URL of one (it ends in /debian on most mirrors), and, when the
security archive is not beside it, SAMPAN_DEBIAN_SECURITY_MIRROR."""


class Error(Exception):
    """What the person who runs the build reads: one message, no traceback."""


def parse_list(text):
    """One-line format (sources.list(5)): yields (uri, suite, components)."""
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.match(r"deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)", line)
        if match:
            yield match[1], match[2], match[3].split()


def parse_sources(text):
    """deb822 format: yields (uri, suite, components)."""
    for stanza in re.split(r"\n[ \t]*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields, name = {}, None
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name] += " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "without", "off", "disable"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite, fields.get("components", "").split()


def configured_entries(etc):
    """All that the machine's apt has configured below the directory etc (/etc/apt)."""
    files = [(etc + "/sources.list", parse_list)]
    files += [(path, parse_list) for path in sorted(glob.glob(etc + "/sources.list.d/*.list"))]
    files += [(path, parse_sources) for path in sorted(glob.glob(etc + "/sources.list.d/*.sources"))]
    for path, parse in files:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                yield from parse(file.read())


def find_archives(etc="/etc/apt", environ=None):
    """Returns (archive URIs, best guess first; security URIs, best guess first)."""
    environ = os.environ if environ is None else environ
    archives, security, with_updates = [], [], set()
    for uri, suite, components in configured_entries(etc):
        if "main" not in components or uri.startswith("cdrom:"):
            continue
        uri = uri.rstrip("/")
        match = re.fullmatch(rf"(?:{CODENAMES})(-updates|-backports|-security|/updates)?", suite)
        if not match:
            continue
        if match[1] in ("-security", "/updates"):
            security.append(uri)
        else:
            archives.append(uri)
            if match[1]:
                with_updates.add(uri)
    # Other vendors publish a "bookworm main" too; only Debian has bookworm-updates beside it.
    archives = sorted(dict.fromkeys(archives), key=lambda uri: uri not in with_updates)
    if environ.get("SAMPAN_DEBIAN_MIRROR"):
        archives = [environ["SAMPAN_DEBIAN_MIRROR"].rstrip("/")]
        security = []
    if environ.get("SAMPAN_DEBIAN_SECURITY_MIRROR"):
        security = [environ["SAMPAN_DEBIAN_SECURITY_MIRROR"].rstrip("/")]
    if not archives:
        raise Error(NO_ARCHIVE.format(looked=f"looked in {etc}/sources.list and sources.list.d"))
    security = list(dict.fromkeys(security))
    return archives, security or [uri + "-security" for uri in archives if uri.endswith("/debian")]


def find_keyring(environ=None):
    environ = os.environ if environ is None else environ
    for path in filter(None, (environ.get("SAMPAN_DEBIAN_KEYRING"), *KEYRINGS)):
        if os.path.exists(path):
            return path
    raise Error("no Debian archive keyring: install the package debian-archive-keyring")


class Apt:
    """apt-get and its helpers with a configuration of their own below the directory top."""

    def __init__(self, top):
        self.top = top
        self.config = top + "/apt.conf"
        self.ready = False

    def _write(self, archive, security, backports):
        for folder in ("state/lists/partial", "cache/archives/partial", "empty.d"):
            os.makedirs(f"{self.top}/{folder}", exist_ok=True)
        keyring = find_keyring()
        stanzas = [(archive, f"{SUITE} {SUITE}-backports" if backports else SUITE)]
        stanzas += [(security, SUITE + "-security")] if security else []
        with open(self.top + "/debian.sources", "w", encoding="utf-8") as file:
            for uri, suite in stanzas:
                file.write(
                    f"Types: deb deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: main\n"
                    f"Architectures: {' '.join(ARCHITECTURES)}\nTargets: Packages Sources\n"
                    f"Signed-By: {keyring}\n\n"
                )
        open(self.top + "/status", "w", encoding="utf-8").close()
        # Read after the machine's own configuration (apt-get -c), so this wins. Hooks of the
        # machine are for the system's lists and need root.
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(
                "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
                "#clear APT::Update::Post-Invoke-Success;\n#clear APT::Architectures;\n"
                f'Dir::State "{self.top}/state";\nDir::State::status "{self.top}/status";\n'
                f'Dir::State::lists "lists";\nDir::Cache "{self.top}/cache";\n'
                f'Dir::Cache::archives "archives";\n'
                f'Dir::Etc::SourceList "{self.top}/debian.sources";\n'
                f'Dir::Etc::SourceParts "{self.top}/empty.d";\n'
                f'Dir::Etc::Preferences "/dev/null";\nDir::Etc::PreferencesParts "{self.top}/empty.d";\n'
                'APT::Sandbox::User "root";\nAPT::Default-Release "";\nAcquire::Languages "none";\n'
                'Acquire::AllowInsecureRepositories "false";\n'
                f'APT::Architecture "{ARCHITECTURES[0]}";\n'
                f"APT::Architectures {{ {' '.join(f'{chr(34)}{a}{chr(34)};' for a in ARCHITECTURES)} }};\n"
            )

    def _run(self, *command):
        return subprocess.run(
            [command[0], "-c", self.config, *command[1:]],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def update(self):
        """Fetch the signed index, once per object. Which of several archives is Debian's shows here."""
        if self.ready:
            return
        archives, security = find_archives(os.environ.get("SAMPAN_APT_ETC", "/etc/apt"))
        failures = []
        for archive, secure, backports in itertools.product(archives, [*security, None], (True, False)):
            self._write(archive, secure, backports)
            result = self._run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
            if result.returncode == 0:
                if secure is None:
                    print(f"warning: no security archive of {SUITE} beside {archive}", flush=True)
                self.ready = True
                return
            failures.append(result.stdout)
            if "NO_PUBKEY" in result.stdout or "EXPKEYSIG" in result.stdout:
                raise Error(
                    f"{archive}: signed with no key of {find_keyring()}; when that is Debian's archive,"
                    f" upgrade the package debian-archive-keyring\n{last_lines(result.stdout)}"
                )
        raise Error(
            f"no usable archive of Debian {SUITE} at {' or '.join(archives)} (set SAMPAN_DEBIAN_MIRROR"
            f" to use another):\n{last_lines(failures[0])}"
        )

    def find(self, name, kind, version=None, backport=False):
        """Newest (or given) version of a package: (version, [(uri, file, size, sha256)]).

        kind is "source" or an architecture. None when the index does not have it.
        """
        self.update()
        if kind == "source":
            query = self._run("apt-cache", "showsrc", "--only-source", name)
            found = re.findall(r"(?m)^Version: (\S+)", query.stdout)
            command = ["apt-get", "source", "--only-source", "--print-uris", "-qq", name]
        else:
            query = self._run("apt-cache", "show", f"{name}:{kind}")
            found = re.findall(r"(?m)^Version: (\S+)", query.stdout)
            command = ["apt-get", "download", "--print-uris", "-qq", f"{name}:{kind}"]
        found = [have for have in found if backport or "~bpo" not in have]
        if version is not None:
            found = [have for have in found if have == version]
        if not found:
            return None
        newest = found[0]
        for have in found[1:]:
            newest = have if is_newer(have, newest) else newest
        command[-1] += "=" + newest
        result = self._run(*command)
        files = re.findall(r"(?m)^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$", result.stdout)
        if not files:
            raise Error(f"{name} {newest}: apt names no files\n{last_lines(result.stdout)}")
        return newest, [
            (uri, unescape(file), int(size), sha)
            for uri, file, size, sha in files
            if not file.endswith((".dsc", ".asc"))  # the signed index vouches for each tar by itself
        ]

    def download_closure(self, names, architecture):
        """Fetch binary packages and all they depend on, nothing they recommend; returns the .deb files.

        Dependencies are those of an empty system: what is "essential" must be named.
        """
        self.update()
        command = ["apt-get", "install", "--no-install-recommends", "-o", f"APT::Architecture={architecture}"]
        names = [f"{name}:{architecture}" for name in names]
        # what lies in the archives already would not be listed
        nowhere = f"Dir::Cache::archives={self.top}/empty.d"
        listed = self._run(*command, "-o", nowhere, "--print-uris", "-q", *names)
        files = re.findall(r"(?m)^'[^']+' (\S+\.deb) \d+ ", listed.stdout)
        if listed.returncode != 0 or not files:
            raise Error(f"apt cannot install {' '.join(names)}:\n{last_lines(listed.stdout)}")
        done = self._run(*command, "--download-only", "-y", *names)
        if done.returncode != 0:
            raise Error(f"apt could not fetch the packages:\n{last_lines(done.stdout)}")
        archives = f"{self.top}/cache/archives"
        return [f"{archives}/{file}" for file in files]

    def download(self, uri, path, sha256):
        """Fetch one file with apt's own methods (proxy, credentials, resume); None or what went wrong."""
        result = self._run("/usr/lib/apt/apt-helper", "download-file", uri, path, "SHA256:" + sha256)
        return None if result.returncode == 0 else last_lines(result.stdout)


def is_newer(version, than):
    """Whether one Debian version is later than another."""
    command = ["dpkg", "--compare-versions", version, "gt", than]
    return subprocess.run(command, check=False).returncode == 0


def unescape(name):
    return re.sub("%([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), name)


def last_lines(text, count=6):
    return "\n".join("  " + line for line in text.strip().splitlines()[-count:])
