#include "runtime/oci/seccomp.h"

#include "lib/base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <cmocka.h>

#ifdef __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

static struct config config;

static int parse(const char *seccomp)
{
	char json[4096];
	struct err e = {0};
	char *text;

	config_free(&config);
	snprintf(json, sizeof(json), "{\"ociVersion\":\"1.0.0\",\"linux\":{\"seccomp\":%s}}",
		seccomp);
	text = malloc(strlen(json) + YYJSON_PADDING_SIZE);
	memcpy(text, json, strlen(json));
	return config_parse(&config, text, strlen(json), NULL, NULL, &e);
}

/* A BPF machine for what libseccomp emits. */
static uint32_t verdict(const struct seccomp_filter *f, uint32_t arch, long nr, uint64_t arg0)
{
	struct seccomp_data data = {.nr = (int)nr, .arch = arch, .args = {arg0}};
	uint32_t a = 0;

	for (size_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->insns[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof(data));
			memcpy(&a, (const char *)&data + i->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %#x", i->code);
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static struct seccomp_filter build(int cache)
{
	struct seccomp_filter f;
	struct err e = {0};

	if (seccomp_build(&config.seccomp, cache, cache, NULL, &f, &e) < 0)
		fail_msg("%s", e.msg);
	return f;
}

static void actions_and_errors_are_kept(void **state)
{
	struct seccomp_filter f;

	(void)state;
	assert_int_equal(
		parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		      "{\"names\":[\"getcwd\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\"},"
		      "{\"names\":[\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38},"
		      "{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}"),
		0);
	f = build(-1);
	assert_int_equal(verdict(&f, NATIVE, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&f, NATIVE, SYS_getcwd, 0), SECCOMP_RET_ERRNO | 1);
	assert_int_equal(verdict(&f, NATIVE, SYS_mkdirat, 0), SECCOMP_RET_ERRNO | 38);
	assert_int_equal(verdict(&f, NATIVE, SYS_sync, 0), SECCOMP_RET_KILL_PROCESS);
	seccomp_filter_free(&f);
}

static void arguments_are_compared(void **state)
{
	struct seccomp_filter f;

	(void)state;
	assert_int_equal(parse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,"
			       "\"syscalls\":[{\"names\":[\"personality\"],"
			       "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":8,"
			       "\"op\":\"SCMP_CMP_EQ\"}]},"
			       "{\"names\":[\"unshare\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
			       "{\"index\":0,\"value\":2114060288,\"valueTwo\":0,"
			       "\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}"),
		0);
	f = build(-1);
	assert_int_equal(verdict(&f, NATIVE, SYS_personality, 8), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&f, NATIVE, SYS_personality, 9), SECCOMP_RET_ERRNO | 13);
	assert_int_equal(verdict(&f, NATIVE, SYS_unshare, 0x11), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&f, NATIVE, SYS_unshare, 0x10000000), SECCOMP_RET_ERRNO | 13);
	assert_int_equal(verdict(&f, NATIVE, SYS_read, 0), SECCOMP_RET_ERRNO | 13);
	seccomp_filter_free(&f);
}

static void two_values_of_one_argument_are_alternatives(void **state)
{
	struct seccomp_filter f;

	(void)state;
	assert_int_equal(
		parse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":["
		      "{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
		      "{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"},"
		      "{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}"),
		0);
	f = build(-1);
	assert_int_equal(verdict(&f, NATIVE, SYS_personality, 8), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&f, NATIVE, SYS_personality, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(&f, NATIVE, SYS_personality, 1), SECCOMP_RET_ERRNO | 1);
	seccomp_filter_free(&f);
}

static void a_foreign_machines_calls_are_killed(void **state)
{
	struct seccomp_filter f;

	(void)state;
	assert_int_equal(parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
			       "{\"names\":[\"getcwd\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"),
		0);
	f = build(-1);
	assert_int_equal(verdict(&f, AUDIT_ARCH_PPC64LE, 4, 0) & SECCOMP_RET_ACTION_FULL,
		SECCOMP_RET_KILL_THREAD);
	seccomp_filter_free(&f);
}

static void every_action_has_its_verdict(void **state)
{
	static const struct {
		const char *rule;
		uint32_t verdict;
	} cases[] = {
		{"\"action\":\"SCMP_ACT_KILL\"", SECCOMP_RET_KILL_THREAD},
		{"\"action\":\"SCMP_ACT_KILL_THREAD\"", SECCOMP_RET_KILL_THREAD},
		{"\"action\":\"SCMP_ACT_KILL_PROCESS\"", SECCOMP_RET_KILL_PROCESS},
		{"\"action\":\"SCMP_ACT_TRAP\"", SECCOMP_RET_TRAP},
		{"\"action\":\"SCMP_ACT_ERRNO\"", SECCOMP_RET_ERRNO | 1},
		{"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":0", SECCOMP_RET_ERRNO},
		{"\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":7", SECCOMP_RET_TRACE | 7},
		{"\"action\":\"SCMP_ACT_LOG\"", SECCOMP_RET_LOG},
		{"\"action\":\"SCMP_ACT_NOTIFY\"", SECCOMP_RET_USER_NOTIF},
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seccomp_filter f;

		snprintf(json, sizeof(json),
			"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\","
			"\"syscalls\":[{\"names\":[\"getcwd\"],%s}]}",
			cases[i].rule);
		assert_int_equal(parse(json), 0);
		f = build(-1);
		assert_int_equal(verdict(&f, NATIVE, SYS_getcwd, 0), cases[i].verdict);
		assert_int_equal(verdict(&f, NATIVE, SYS_read, 0), SECCOMP_RET_ALLOW);
		seccomp_filter_free(&f);
	}
}

static void every_operator_compares(void **state)
{
	static const struct {
		const char *op;
		const char *yes; /* verdict for the arguments 0 to 4, against 2: 1 where it holds */
	} cases[] = {
		{"SCMP_CMP_NE", "11011"}, {"SCMP_CMP_LT", "11000"}, {"SCMP_CMP_LE", "11100"},
		{"SCMP_CMP_EQ", "00100"}, {"SCMP_CMP_GE", "00111"}, {"SCMP_CMP_GT", "00011"},
		{"SCMP_CMP_MASKED_EQ", "00110"}, /* value 2 is the mask, valueTwo the rest */
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seccomp_filter f;

		snprintf(json, sizeof(json),
			"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
			"[\"personality\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,"
			"\"value\":2,\"valueTwo\":2,\"op\":\"%s\"}]}]}",
			cases[i].op);
		assert_int_equal(parse(json), 0);
		f = build(-1);
		for (unsigned arg = 0; arg < 5; arg++) {
			bool yes = verdict(&f, NATIVE, SYS_personality, arg) != SECCOMP_RET_ALLOW;

			if (yes != (cases[i].yes[arg] == '1'))
				fail_msg("%u %s 2 is %d", arg, cases[i].op, yes);
		}
		seccomp_filter_free(&f);
	}
}

static void flags_are_taken_over(void **state)
{
	struct seccomp_filter f;

	(void)state;
	assert_int_equal(parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":["
			       "\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"]}"),
		0);
	f = build(-1);
	assert_int_equal(f.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	seccomp_filter_free(&f);
}

static char *one_file(int dir, char *name, size_t size)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, size, "%s", entry->d_name);
		n++;
	}
	closedir(d);
	assert_int_equal(n, 1);
	return name;
}

static void an_equal_section_comes_from_the_cache(void **state)
{
	char path[] = "/tmp/seccomp_test.XXXXXX";
	AUTO_CLOSE int dir = -1;
	struct seccomp_filter first;
	struct seccomp_filter second;
	char name[256];
	off_t size;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
			       "{\"names\":[\"getcwd\"],\"action\":\"SCMP_ACT_ERRNO\"}]}"),
		0);
	first = build(dir);
	one_file(dir, name, sizeof(name));
	/* Change the verdict in the file: it shows where the second program came from. */
	fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	size = lseek(fd, 0, SEEK_END);
	for (off_t at = size - (off_t)(first.n * sizeof(struct sock_filter)); at < size;
		at += (off_t)sizeof(struct sock_filter)) {
		struct sock_filter insn;

		assert_int_equal(pread(fd, &insn, sizeof(insn), at), sizeof(insn));
		if (insn.k == (SECCOMP_RET_ERRNO | 1)) {
			insn.k = SECCOMP_RET_ERRNO | 99;
			assert_int_equal(pwrite(fd, &insn, sizeof(insn), at), sizeof(insn));
		}
	}
	second = build(dir);
	assert_int_equal(verdict(&second, NATIVE, SYS_getcwd, 0), SECCOMP_RET_ERRNO | 99);
	seccomp_filter_free(&second);
	/* The same name with another text in front is not a hit. */
	assert_int_equal(pwrite(fd, "9", 1, 0), 1);
	second = build(dir);
	assert_int_equal(verdict(&second, NATIVE, SYS_getcwd, 0), SECCOMP_RET_ERRNO | 1);
	seccomp_filter_free(&second);
	/* A file that ends in mid-instruction is compiled anew. */
	close(fd);
	fd = openat(dir, one_file(dir, name, sizeof(name)), O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, size - 3), 0);
	second = build(dir);
	assert_int_equal(second.n, first.n);
	seccomp_filter_free(&second);
	seccomp_filter_free(&first);
	close(fd);
	unlinkat(dir, name, 0);
	rmdir(path);
}

static void what_is_saved_is_restored(void **state)
{
	char path[] = "/tmp/seccomp_test.XXXXXX";
	AUTO_CLOSE int dir = -1;
	struct seccomp_filter f;
	struct seccomp_filter g;
	struct err e = {0};

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(parse("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"flags\":["
			       "\"SECCOMP_FILTER_FLAG_LOG\"]}"),
		0);
	f = build(-1);
	assert_int_equal(seccomp_save(&f, dir, "seccomp", &e), 0);
	assert_int_equal(seccomp_restore(&g, dir, "seccomp", &e), 0);
	assert_true(g.n == f.n && g.flags == f.flags);
	assert_memory_equal(g.insns, f.insns, f.n * sizeof(*f.insns));
	seccomp_filter_free(&f);
	seccomp_filter_free(&g);
	assert_int_equal(seccomp_restore(&g, dir, "none", &e), 0);
	assert_null(g.insns);
	unlinkat(dir, "seccomp", 0);
	rmdir(path);
}

static int clean(void **state)
{
	(void)state;
	config_free(&config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_and_errors_are_kept),
		cmocka_unit_test(arguments_are_compared),
		cmocka_unit_test(two_values_of_one_argument_are_alternatives),
		cmocka_unit_test(a_foreign_machines_calls_are_killed),
		cmocka_unit_test(every_action_has_its_verdict),
		cmocka_unit_test(every_operator_compares),
		cmocka_unit_test(flags_are_taken_over),
		cmocka_unit_test(an_equal_section_comes_from_the_cache),
		cmocka_unit_test(what_is_saved_is_restored),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
