"""The defences, each taken out by an exact text in place of another. `weaken` fails when a text is not there exactly once:
then the code has changed, and the weakening must follow it."""

import pathlib

TOP = pathlib.Path(__file__).resolve().parents[3]
OCI = "runtime/oci/"
PATH = "lib/util/path.c"

# name: [(file, text, what takes its place), …]
WEAKENINGS = {
    # ---- paths and mounts
    "resolve-on-host": [
        # as a runtime that puts the root's path and the container's together
        (PATH, 'fd = sys_openat2(rootfd, path[0] ? path : ".", &how);',
         "how.resolve = 0;\n"
         'fd = sys_openat2(rootfd, path[strspn(path, "/")] ? path + strspn(path, "/") : ".", &how);'),
    ],
    "mount-by-path": [
        (OCI + "mounts.c", "n = mount_attach(fd, target);",
         "n = sys_move_mount(fd, \"\", r->root, m->destination + 1, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0"
         " ? -errno : 0;"),
    ],
    "remount-by-path": [
        (OCI + "mounts.c", "m->options.remount ? mounted_before(c, i) : NULL;", "NULL; (void)mounted_before;"),
    ],
    "mkdir-by-path": [
        (PATH, "if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)",
         "char c_ = whole[end]; whole[end] = 0;\n"
         "int r_ = mkdirat(rootfd, whole + strspn(whole, \"/\"), mode); whole[end] = c_;\n"
         "if (r_ < 0 && errno != EEXIST)"),
    ],
    "mkfile-by-path": [
        (PATH, "file = openat(dir, name, flags, mode);",
         "file = openat(rootfd, whole + strspn(whole, \"/\"), flags, mode);"),
    ],
    # ---- /dev
    "dev-by-path": [
        (OCI + "devices.c", 'dev = path_make_dirs_through_links(r->root, "/dev", 0755);',
         'dev = openat(r->root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC);'),
    ],
    "console-follows": [
        (OCI + "console.c", 'to = openat(dev, "console", O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0620);',
         'to = openat(dev, "console", O_CREAT | O_RDONLY | O_CLOEXEC, 0620);'),
        (OCI + "console.c", 'to = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);',
         'to = openat(dev, "console", O_PATH | O_CLOEXEC);'),
    ],
    "console-by-name": [
        (OCI + "console.c",
         'from = sys_open_tree(peer, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);',
         'from = sys_open_tree(dev, "pts/0", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);'),
    ],
    "ptmx-by-name": [
        (OCI + "console.c", "	if (pts < 0)\n",
         "	fd_close(&pts);\n	pts = path_open_in_root(root, \"/dev/pts/ptmx\", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0);\n"
         "	if (pts < 0)\n"),
    ],
    "masks-with-the-images-null": [
        (OCI + "rootfs.c", "cover = open_null();",
         "AUTO_CLOSE int image = path_open_in_root(r->root, \"/dev/null\", O_PATH, 0);\n"
         "cover = sys_open_tree(image, \"\", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH); (void)open_null;"),
    ],
    "any-node-will-do": [
        (OCI + "devices.c", "if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != dev))\n		return -EEXIST;",
         ""),
    ],
    # ---- /proc and /sys
    "masks-by-path": [
        (OCI + "rootfs.c", "		if (found) {", "		if (0) {"),
    ],
    "copyup-across-mounts": [
        (PATH, "return open_in_root(rootfd, path, flags, 0, RESOLVE_NO_XDEV);",
         "return open_in_root(rootfd, path, flags, 0, 0);"),
    ],
    "no-masks": [
        (OCI + "rootfs.c", "int n = mask_path(c, r, path);", "int n = 0; (void)mask_path;"),
    ],
    "no-read-only-paths": [
        (OCI + "rootfs.c", "int n = protect_path(c, r, path);", "int n = 0; (void)protect_path;"),
    ],
    "sysfs-writable": [
        (OCI + "mount_new.c", "uint64_t attrs = mount_attributes(o);", "uint64_t attrs = 0;"),
    ],
    "proc-through-a-link": [
        (OCI + "mounts.c", "wants_real_directory(m) ? open_real_directory(root, m->destination)",
         "0 ? open_real_directory(root, m->destination)"),
    ],
    "sysctl-through-the-containers-proc": [
        (OCI + "child.c", "r = sysctl_apply(cfg, ch->c->host_proc, e);",
         'r = sysctl_apply(cfg, openat(ch->rootfs.root, "proc", O_PATH | O_CLOEXEC), e);'),
        (OCI + "child.c", '	{"oci:settings", stage_settings},\n', ""),
        (OCI + "child.c", '	{"oci:devices", stage_devices},\n',
         '	{"oci:settings", stage_settings},\n	{"oci:devices", stage_devices},\n'),
    ],
    "label-through-the-containers-proc": [
        (OCI + "lsm.c", 'r = io_write_file_at(host_proc, "self/attr/apparmor/exec", line);',
         'r = io_write_file_at(AT_FDCWD, "/proc/self/attr/apparmor/exec", line);'),
    ],
    "sysctl-of-any-namespace": [
        (OCI + "namespaces.c", "if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)", "if (1)"),
    ],
    # ---- descriptors
    "own-file-writable": [
        (OCI + "selfexe.c", "if (is_safe(exe)) {", "if (1) {"),
    ],
    "cwd-by-path": [
        (OCI + "process.c", "AUTO_CLOSE int dir = path_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0);",
         "AUTO_CLOSE int dir = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);"),
    ],
    "descriptors-stay": [
        (OCI + "process.c", "if (sys_close_range(last + 1 + (f->agent->fd >= 0), ~0U, 0) < 0)", "if (0)"),
    ],
    "hooks-inherit": [
        (OCI + "hooks.c", "sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0", "0"),
    ],
    "dumpable": [
        (OCI + "exec.c", "	if (r == 0 && setsid() < 0)", "	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);\n	if (r == 0 && setsid() < 0)"),
        (OCI + "child.c", "	if (setsid() < 0)", "	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);\n	if (setsid() < 0)"),
    ],
    "stdio-given-away": [
        (OCI + "process.c", "if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !isatty(fd))", "if (0)"),
    ],
    # ---- rights
    "capabilities-kept": [
        (OCI + "process.c", "	r = creds_limit_bounding(&p->caps);", "	r = 0;"),
        (OCI + "process.c", "		r = creds_set_caps(&p->caps, e);", "		r = 0;"),
    ],
    "inheritable-as-permitted": [
        (OCI + "creds.c", "set_caps(fit.effective, fit.permitted, fit.inheritable);",
         "set_caps(fit.effective, fit.permitted, fit.permitted);"),
    ],
    "hooks-keep-rights": [
        (OCI + "hooks.c", "if (e.code == 0 && confinement)", "if (0)"),
        (OCI + "child.c", "const struct hook_confinement confinement = {confine_hook, &final};",
         "const struct hook_confinement confinement = {NULL, &final};"),
    ],
    "groups-kept-by-run": [
        (OCI + "namespaces.c", "		(void)setgroups(0, NULL);\n", ""),
    ],
    "groups-kept-by-exec": [
        (OCI + "exec.c", "	(void)setgroups(0, NULL);\n", ""),
    ],
    "keyring-kept": [
        (OCI + "child.c", "if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&\n		errno != EPERM)",
         "if (0)"),
        (OCI + "exec.c", "if (r == 0 && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)",
         "if (0)"),
    ],
    "keyring-by-name": [
        (OCI + "child.c", "KEYCTL_JOIN_SESSION_KEYRING, NULL)", 'KEYCTL_JOIN_SESSION_KEYRING, "_ses.d")'),
        (OCI + "exec.c", "KEYCTL_JOIN_SESSION_KEYRING, NULL)", 'KEYCTL_JOIN_SESSION_KEYRING, "_ses.d")'),
    ],
    "no-session": [
        (OCI + "child.c", "	if (setsid() < 0)", "	if (0)"),
    ],
    # ---- input
    "user-parsed-loosely": [
        (OCI + "exec_process.c", "if (num_parse_u64(text, len, UINT32_MAX - 1, &uid) < 0 ||",
         "if (0 ||"),
        (OCI + "exec_process.c", "(text[len] && num_parse_u64(text + len + 1", "(0 && num_parse_u64(text + len + 1"),
    ],
    "minus-one-is-a-user": [
        (OCI + "config_process.c", "return p->uid < UINT32_MAX ?", "return 1 ?"),
        (OCI + "config_process.c", "return p->gid < UINT32_MAX ?", "return 1 ?"),
        (OCI + "config_process.c", "int r = json_u64(at, UINT32_MAX - 1, &gid, e);", "int r = json_u64(at, UINT32_MAX, &gid, e);"),
        (OCI + "creds.c", "if (setgroups(p->n_gids, p->gids) < 0", "if (0"),
    ],
    "passwd-read-whole": [
        (OCI + "process.c", "#define PASSWD_BYTES_MAX 65536", "#define PASSWD_BYTES_MAX (400 << 20)"),
    ],
    "passwd-from-anywhere": [
        (OCI + "process.c", "AUTO_CLOSE int fd = open_passwd(host_proc);",
         'AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);\n(void)open_passwd;\n'
         'AUTO_CLOSE int fd = path_open_in_root(root, "/etc/passwd", O_RDONLY | O_NONBLOCK, 0);'),
    ],
    "cgroup-dots": [
        (OCI + "cgroup.c", "if (strcspn(p + 1, \"/\") == 2 && p[1] == '.' && p[2] == '.')", "if (0)"),
    ],
    "any-id": [
        (OCI + "state.c", "int state_check_id(const char *id, struct err *e)\n{", "int state_check_id(const char *id, struct err *e)\n{\n	return 0;\n"),
    ],
    "unified-with-slashes": [
        (OCI + "config_check.c", "if (!strchr(key, '.') || strchr(key, '/') || key[0] == '.' ||", "if (0 &&"),
    ],
    "annotations-unquoted": [
        (OCI + "state.c", "doc, obj, \"annotations\", yyjson_val_mut_copy(doc, annotations));",
         'doc, obj, "annotations", forge(doc, annotations));'),
        (OCI + "state.c", "static void add_annotations(", """
static yyjson_mut_val *forge(yyjson_mut_doc *doc, yyjson_val *annotations)
{
	char *text = NULL;

	asprintf(&text, "{\\"a\\":\\"%s\\"}", yyjson_get_str(yyjson_obj_get(annotations, "a")));
	return yyjson_mut_raw(doc, text);
}

static void add_annotations("""),
    ],
    "annotations-obeyed": [
        (OCI + "child.c", "	int r = run_own_hooks(ch, HOOK_START_CONTAINER",
         '	if (yyjson_obj_get(c->config->annotations, "run.oci.keep_original_groups"))\n'
         "		((struct config_process *)final.process)->no_new_privs = false;\n"
         "	int r = run_own_hooks(ch, HOOK_START_CONTAINER"),
    ],
    "hooks-print-for-the-container": [
        (OCI + "hooks.c", "dup2(2, 1) < 0", "0"),
    ],
    "any-process-of-that-number": [
        (OCI + "state_status.c", "if (time != s->start_time.v)", "if (0)"),
    ],
    "exec-into-the-hosts": [
        (OCI + "exec.c", "if (t != NS_PID && x->h.state.namespaces & 1U << t)", "if (t > NS_MOUNT && x->h.state.namespaces & 1U << t)"),
    ],
}


def weaken(name):
    """Returns {file: its text with the weakness}."""
    texts = {}
    for path, old, new in WEAKENINGS[name]:
        text = texts.get(path) or (TOP / path).read_text()
        found = text.count(old)
        if found != 1:
            raise SystemExit(f"weakening {name}: this text is {found} times in {path}, not once:\n{old}")
        texts[path] = text.replace(old, new)
    return texts
