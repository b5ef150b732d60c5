#include "init/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct service_config c;
static struct err e;

static int parse(const char *text)
{
	e = (struct err){0};
	return config_parse("one", text, strlen(text), &c, &e);
}

static void refused(const char *text, const char *message)
{
	memset(&c, 'x', sizeof(c));
	assert_true(parse(text) < 0);
	assert_string_equal(e.msg, message);
	assert_int_equal(c.name[0], 'x');
}

static void test_every_key_is_read(void **state)
{
	(void)state;
	assert_int_equal(parse("# a comment\n"
			       "exec=/bin/true\n"
			       "\t after=a b-1\tc.d \r\n"
			       "\n"
			       "restart=on-failure\n"
			       "backoff=1s..2m\n"
			       "healthy-after=30s\n"
			       "ready=fd\n"
			       "ready-timeout=500ms\n"
			       "stop-signal=QUIT\n"
			       "shutdown-signal=PWR\n"
			       "stop-timeout=0ms\n"
			       "oom-score-adj=-1000\n"
			       "console=yes\n"
			       "condition.cmdline=a.b=c\n"
			       "cgroup.memory.max=16M\n"
			       "cgroup.memory.min=8M\n"
			       "cgroup.pids.max=10"),
		0);
	assert_string_equal(c.name, "one");
	assert_int_equal(c.after_count, 3);
	assert_string_equal(c.after[1], "b-1");
	assert_string_equal(c.after[2], "c.d");
	assert_int_equal(c.restart, RESTART_ON_FAILURE);
	assert_int_equal(c.backoff_min_ms, 1000);
	assert_int_equal(c.backoff_max_ms, 120000);
	assert_int_equal(c.healthy_ms, 30000);
	assert_true(c.ready_fd);
	assert_int_equal(c.ready_timeout_ms, 500);
	assert_int_equal(c.stop_signal, SIGQUIT);
	assert_int_equal(c.shutdown_signal, SIGPWR);
	assert_int_equal(c.stop_timeout_ms, 0);
	assert_int_equal(c.oom_score_adj, -1000);
	assert_true(c.console);
	assert_string_equal(c.condition, "a.b=c");
	assert_int_equal(c.limit_count, 3);
	assert_string_equal(c.limits[0].file, "memory.max");
	assert_string_equal(c.limits[0].value, "16M");
	assert_int_equal(c.memory_min, 8 << 20);
}

static void test_what_is_not_given_has_its_default(void **state)
{
	(void)state;
	assert_int_equal(parse("container=/containers/web\n"), 0);
	assert_string_equal(c.container, "/containers/web");
	assert_int_equal(c.argc, 0);
	assert_int_equal(c.restart, RESTART_NO);
	assert_int_equal(c.stop_signal, SIGTERM);
	assert_int_equal(c.shutdown_signal, SIGTERM);
	assert_int_equal(c.stop_timeout_ms, 10000);
	assert_int_equal(c.backoff_min_ms, 100);
	assert_int_equal(c.backoff_max_ms, 30000);
	assert_false(c.oneshot || c.ready_fd || c.console || c.tty_console);
	assert_int_equal(parse("exec=/bin/sh\ntty=console"), 0);
	assert_int_equal(c.stop_signal, SIGHUP);
}

static void arguments_are(const char *exec, const char *joined)
{
	char got[SERVICE_ARGS_BYTES_MAX];

	assert_int_equal(parse(exec), 0);
	memcpy(got, c.args, c.args_len);
	got[c.args_len] = '\0';
	for (size_t i = 0; i < c.args_len; i++)
		if (got[i] == '\0')
			got[i] = '|';
	assert_string_equal(got, joined);
}

static void test_quoting(void **state)
{
	(void)state;
	arguments_are("exec=/a b  c\t", "/a|b|c|");
	arguments_are("exec=/a 'b c' \"d 'e'\"", "/a|b c|d 'e'|");
	arguments_are("exec=/a \"\\\"\\\\\\n\"", "/a|\"\\\\n|");
	arguments_are("exec=/a b\\ c \\\\ \\'", "/a|b c|\\|'|");
	arguments_are("exec=/a '' \"\"x''", "/a||x|");
	arguments_are("exec=/a '\\'", "/a|\\|");
	arguments_are("exec=/a $HOME *", "/a|$HOME|*|");
}

static void test_errors_name_file_line_key_and_what_was_expected(void **state)
{
	(void)state;
	refused("exec=/a\nrestart=maybe\n", "one:2: restart: expected always, on-failure or no");
	refused("\n\nexec=/a\n\nfoo=1\n", "one:5: unknown key \"foo\"");
	refused("exec=/a\nexec=/b\n", "one:2: exec: set twice");
	refused("exec=/a\njust words\n", "one:2: expected key=value");
	refused("exec=a", "one:1: exec: expected an absolute path and arguments, quotes closed");
	refused("exec=/a 'b",
		"one:1: exec: expected an absolute path and arguments, quotes closed");
	refused("exec=/a\nstop-timeout=10\n", "one:2: stop-timeout: expected a time like 10s");
	refused("exec=/a\nbackoff=2s..1s\n",
		"one:2: backoff: expected times MIN..MAX like 100ms..30s");
	refused("exec=/a\nbackoff=0ms..1s\n",
		"one:2: backoff: expected times MIN..MAX like 100ms..30s");
	refused("exec=/a\nstop-signal=FOO\n",
		"one:2: stop-signal: expected a signal like TERM, or its number");
	refused("exec=/a\nstop-signal=65\n",
		"one:2: stop-signal: expected a signal like TERM, or its number");
	refused("exec=/a\noom-score-adj=-1001\n",
		"one:2: oom-score-adj: expected a number from -1000 to 1000");
	refused("exec=/a\nafter=init\n", "one:2: after: expected names of services");
	refused("exec=/a\nafter=../x\n", "one:2: after: expected names of services");
	refused("exec=/a\nafter=a b c d e f g h i\n", "one:2: after: too long");
	refused("container=web\n", "one:1: container: expected the absolute path of an OCI bundle");
	refused("exec=/a\ncgroup.cgroup.procs=1\n",
		"one:2: cgroup.cgroup.procs: not a limit that a service may set");
	refused("exec=/a\ncgroup.pids.max=1\ncgroup.pids.max=2\n",
		"one:3: cgroup.pids.max: set twice");
	refused("exec=/a\ncgroup.pids.max=\n",
		"one:2: cgroup.pids.max: expected 1 to 63 characters");
	refused("exec=/a\ncgroup.memory.min=lots\n",
		"one:2: cgroup.memory.min: expected a size like 8M");
}

static void test_contradictions_are_refused(void **state)
{
	(void)state;
	refused("", "one: expected one of exec= and container=");
	refused("exec=/a\ncontainer=/b\n", "one: expected one of exec= and container=");
	refused("container=/b\nready=fd\n", "one: type=oneshot, ready= and tty= need exec=");
	refused("exec=/a\ntype=oneshot\nrestart=always\n",
		"one: type=oneshot is ready when it ended: no ready=, no restart=always");
	refused("exec=/a\ntty=console\nconsole=yes\n",
		"one: tty=console has no log for console=yes");
	refused("exec=/a\nready-timeout=1s\n", "one: ready-timeout= needs ready=fd");
	refused("exec=/a\nafter=one\n", "one: after= names the service itself");
}

static void test_names_of_services(void **state)
{
	char longest[65];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_true(config_name_ok("web-1.x_Y", 9));
	assert_true(config_name_ok(longest, 63));
	assert_false(config_name_ok(longest, 64));
	assert_false(config_name_ok("", 0));
	assert_false(config_name_ok(".hidden", 7));
	assert_false(config_name_ok("-f", 2));
	assert_false(config_name_ok("a/b", 3));
	assert_false(config_name_ok("init", 4));
	assert_true(config_name_ok("initd", 5));
}

static void test_what_is_too_long_is_refused(void **state)
{
	char text[SERVICE_ARGS_BYTES_MAX + 16] = "exec=/";

	(void)state;
	memset(text + 6, 'a', SERVICE_ARGS_BYTES_MAX - 2);
	refused(text, "one:1: exec: too long");
	text[5 + SERVICE_ARGS_BYTES_MAX - 2] = '\0';
	assert_int_equal(parse(text), 0);
	strcpy(text, "exec=/a");
	for (int i = 0; i < SERVICE_ARGS_MAX; i++)
		strcat(text, " a");
	refused(text, "one:1: exec: too long");
	text[strlen(text) - 2] = '\0';
	assert_int_equal(parse(text), 0);
	assert_int_equal(c.argc, SERVICE_ARGS_MAX);
}

/* The sanitizer sees a read behind the end of a buffer that is exactly as long as its text. */
static void test_every_truncation_is_read_to_its_end_only(void **state)
{
	static const char text[] =
		"exec=/a 'b' \"c\\\"\" d\\\nafter=x y\nbackoff=1s..2s\ncgroup.pids.max=1";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		char *exact = malloc(len + 1);

		assert_non_null(exact);
		memcpy(exact + 1, text, len);
		(void)config_parse("one", exact + 1, len, &c, &e);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_read),
		cmocka_unit_test(test_what_is_not_given_has_its_default),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_errors_name_file_line_key_and_what_was_expected),
		cmocka_unit_test(test_contradictions_are_refused),
		cmocka_unit_test(test_names_of_services),
		cmocka_unit_test(test_what_is_too_long_is_refused),
		cmocka_unit_test(test_every_truncation_is_read_to_its_end_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
