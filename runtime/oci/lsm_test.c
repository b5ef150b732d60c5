/* LDFLAGS: -Wl,--wrap=statfs -Wl,--wrap=syscall -Wl,--wrap=fsetxattr */
#include "runtime/oci/lsm.h"

#include "lib/base/io.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cmocka.h>

/* A kernel with SELinux, as far as it can be told from outside: what it is asked is written down.
 */
static bool selinux;
static char asked[256];
static char proc_path[] = "/tmp/lsm-test-XXXXXX";
static int proc = -1;

int __wrap_statfs(const char *path, struct statfs *fs);
int __wrap_statfs(const char *path, struct statfs *fs)
{
	*fs = (struct statfs){0};
	if (strcmp(path, "/sys/fs/selinux") != 0)
		return -1;
	fs->f_type = selinux ? SELINUX_MAGIC : SYSFS_MAGIC;
	return 0;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	const char *key;
	const char *value;
	unsigned cmd;
	va_list args;
	int fd;

	va_start(args, number);
	fd = va_arg(args, int);
	cmd = va_arg(args, unsigned);
	key = va_arg(args, const char *);
	value = va_arg(args, const char *);
	va_end(args);
	assert_int_equal(number, SYS_fsconfig);
	assert_int_equal(cmd, FSCONFIG_SET_STRING);
	snprintf(asked, sizeof(asked), "%d %s=%s", fd, key, value);
	return 0;
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode) && flags == 0);
	snprintf(asked, sizeof(asked), "%s=%.*s", name, (int)size, (const char *)value);
	assert_int_equal(size, strlen(value) + 1);
	return 0;
}

static const char *written(const char *name)
{
	static char text[256];

	if (io_read_file_at(proc, name, text, sizeof(text)) < 0)
		return NULL;
	return text;
}

static void the_label_of_a_process_is_written_to_the_hosts_proc(void **state)
{
	const struct config_process p = {.selinux_label = "system_u:system_r:container_t:s0:c1"};
	struct err e = {0};

	(void)state;
	selinux = true;
	assert_int_equal(lsm_label_exec(proc, &p, &e), 0);
	assert_string_equal(written("self/attr/exec"), p.selinux_label);
	assert_string_equal(written("self/attr/apparmor/exec"), "");
	assert_int_equal(lsm_label_keys(proc, &p, &e), 0);
	assert_string_equal(written("self/attr/keycreate"), p.selinux_label);
}

static void without_selinux_a_label_is_refused_by_its_name(void **state)
{
	const struct config_process p = {.selinux_label = "x"};
	struct err e = {0};

	(void)state;
	selinux = false;
	assert_int_equal(lsm_label_exec(proc, &p, &e), -ENOTSUP);
	assert_string_equal(e.msg, "process.selinuxLabel: SELinux is not available in this kernel");
	assert_string_equal(written("self/attr/exec"), "");
}

static void a_profile_goes_to_apparmors_own_file(void **state)
{
	const struct config_process p = {.apparmor_profile = "docker-default"};
	struct err e = {0};

	(void)state;
	assert_int_equal(lsm_label_exec(proc, &p, &e), 0);
	assert_string_equal(written("self/attr/apparmor/exec"), "exec docker-default");
	assert_string_equal(written("self/attr/exec"), "");
}

static void without_apparmor_only_unconfined_is_true(void **state)
{
	struct config_process p = {.apparmor_profile = "docker-default"};
	struct err e = {0};

	(void)state;
	assert_int_equal(unlinkat(proc, "self/attr/apparmor/exec", 0), 0);
	assert_int_equal(lsm_label_exec(proc, &p, &e), -ENOTSUP);
	assert_string_equal(
		e.msg, "process.apparmorProfile: AppArmor is not available in this kernel");
	p.apparmor_profile = "unconfined";
	assert_int_equal(lsm_label_exec(proc, &p, &e), 0);
}

static void nothing_asked_for_is_nothing_written(void **state)
{
	const struct config_process p = {.apparmor_profile = "", .selinux_label = ""};
	struct err e = {0};

	(void)state;
	asked[0] = '\0';
	assert_int_equal(lsm_label_exec(proc, &p, &e), 0);
	assert_int_equal(lsm_label_keys(proc, &p, &e), 0);
	assert_int_equal(lsm_label_new(7, "tmpfs", NULL), 0);
	assert_int_equal(lsm_label_new(7, "tmpfs", ""), 0);
	assert_int_equal(lsm_label_made(7, "mqueue", ""), 0);
	assert_string_equal(asked, "");
	assert_string_equal(written("self/attr/exec"), "");
}

static void each_file_system_is_labelled_in_its_way(void **state)
{
	static const char *const kernels[] = {"proc", "sysfs", "cgroup", "cgroup2", "mqueue"};

	(void)state;
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		asked[0] = '\0';
		assert_int_equal(lsm_label_new(7, kernels[i], "l"), 0);
		assert_string_equal(asked, "");
	}
	assert_int_equal(lsm_label_new(7, "tmpfs", "a:b:c:s0:c1,c2"), 0);
	assert_string_equal(asked, "7 context=a:b:c:s0:c1,c2");
	assert_int_equal(lsm_label_new(8, "devpts", "l"), 0);
	assert_string_equal(asked, "8 context=l");
	asked[0] = '\0';
	assert_int_equal(lsm_label_made(proc, "tmpfs", "l"), 0);
	assert_string_equal(asked, "");
	assert_int_equal(lsm_label_made(proc, "mqueue", "l"), 0);
	assert_string_equal(asked, "security.selinux=l");
}

static const char *const folders[] = {"self", "self/attr", "self/attr/apparmor"};
static const char *const files[] = {
	"self/attr/exec", "self/attr/keycreate", "self/attr/apparmor/exec"};

/* Empty files where the kernel has its own. */
static int make_proc(void **state)
{
	(void)state;
	strcpy(proc_path + strlen(proc_path) - 6, "XXXXXX");
	if (!mkdtemp(proc_path))
		return -1;
	proc = open(proc_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 3; i++)
		mkdirat(proc, folders[i], 0700);
	for (size_t i = 0; i < 3; i++)
		close(openat(proc, files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return proc < 0;
}

static int remove_proc(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		(void)unlinkat(proc, files[i], 0);
	for (size_t i = 3; i-- > 0;)
		(void)unlinkat(proc, folders[i], AT_REMOVEDIR);
	close(proc);
	return rmdir(proc_path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_proc, remove_proc)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_label_of_a_process_is_written_to_the_hosts_proc),
		TEST(without_selinux_a_label_is_refused_by_its_name),
		TEST(a_profile_goes_to_apparmors_own_file),
		TEST(without_apparmor_only_unconfined_is_true),
		TEST(nothing_asked_for_is_nothing_written),
		TEST(each_file_system_is_labelled_in_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
