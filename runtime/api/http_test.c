#include "runtime/api/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A connection whose other end is ours. */
struct pair {
	int client;
	struct http_conn conn;
};

static void open_pair(struct pair *p)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p->client = fds[0];
	http_conn_init(&p->conn, fds[1]);
}

static void close_pair(struct pair *p)
{
	if (p->client >= 0)
		close(p->client);
	close(p->conn.fd);
	http_conn_free(&p->conn);
}

static void say(struct pair *p, const char *text)
{
	assert_int_equal(write(p->client, text, strlen(text)), strlen(text));
}

static void say_all(struct pair *p, const char *text)
{
	say(p, text);
	assert_int_equal(shutdown(p->client, SHUT_WR), 0);
}

/* What came back, terminated. */
static const char *hear(struct pair *p)
{
	static char buf[8192];
	ssize_t n = recv(p->client, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static char *body_of(struct pair *p, struct buf *b)
{
	struct err e = {0};

	assert_int_equal(http_read_whole_body(&p->conn, 1 << 20, b, &e), 0);
	return b->v;
}

static void a_request_without_a_body_is_read(void **state)
{
	struct buf b = {0};
	struct pair p;

	(void)state;
	open_pair(&p);
	say_all(&p, "GET /v1.41/info?x=1 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nAccept: */*\r\n\r\n");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_string_equal(p.conn.target, "/v1.41/info?x=1");
	assert_string_equal(http_header(&p.conn, "host"), "a");
	assert_string_equal(http_header(&p.conn, "x-empty"), "");
	assert_string_equal(http_header(&p.conn, "ACCEPT"), "*/*");
	assert_null(http_header(&p.conn, "Cookie"));
	assert_string_equal(body_of(&p, &b), "");
	assert_int_equal(http_read_head(&p.conn), 0);
	buf_free(&b);
	close_pair(&p);
}

static void pipelined_requests_come_one_after_the_other_whatever_the_cuts(void **state)
{
	static const char text[] = "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
				   "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n"
				   "GET /c HTTP/1.1\r\n\r\n";

	(void)state;
	for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
		static const char *const targets[] = {"/a", "/b", "/c"};
		static const char *const bodies[] = {"hello", "abc0123456789", ""};
		struct pair p;
		bool rest_said = false;

		open_pair(&p);
		assert_int_equal(write(p.client, text, cut), cut);
		/* The rest is there before it is waited for: the test must not need a thread. */
		for (size_t i = 0; i < 3; i++) {
			struct buf b = {0};

			if (!rest_said) {
				say_all(&p, text + cut);
				rest_said = true;
			}
			assert_int_equal(http_read_head(&p.conn), 1);
			assert_string_equal(p.conn.target, targets[i]);
			assert_string_equal(body_of(&p, &b), bodies[i]);
			buf_free(&b);
		}
		assert_int_equal(http_read_head(&p.conn), 0);
		close_pair(&p);
	}
}

static void every_truncation_is_an_end_and_no_request(void **state)
{
	static const char text[] =
		"POST /a HTTP/1.1\r\nContent-Length: 5\r\nHost: somewhere\r\n\r\nhello";

	(void)state;
	for (size_t len = 1; len < sizeof(text) - 1; len++) {
		struct buf b = {0};
		struct err e = {0};
		struct pair p;
		int r;

		open_pair(&p);
		assert_int_equal(write(p.client, text, len), len);
		assert_int_equal(shutdown(p.client, SHUT_WR), 0);
		r = http_read_head(&p.conn);
		if (r == 1)
			r = http_read_whole_body(&p.conn, 100, &b, &e);
		assert_true(r < 0);
		buf_free(&b);
		close_pair(&p);
	}
}

static void what_is_no_http_is_answered_with_400(void **state)
{
	static const char *const bad[] = {
		"\x16\x03\x01\x02\x00\x01 TLS\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9\r\n\r\n",
		"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair p;

		open_pair(&p);
		say_all(&p, bad[i]);
		assert_int_equal(http_read_head(&p.conn), -EBADMSG);
		assert_non_null(strstr(hear(&p), "400 Bad Request"));
		assert_true(p.conn.close);
		close_pair(&p);
	}
}

static void too_many_headers_are_refused(void **state)
{
	struct buf b = {0};
	struct pair p;

	(void)state;
	open_pair(&p);
	assert_int_equal(buf_add_str(&b, "GET / HTTP/1.1\r\n"), 0);
	for (int i = 0; i < API_HEADERS_MAX + 1; i++)
		assert_int_equal(buf_printf(&b, "X-%d: y\r\n", i), 0);
	assert_int_equal(buf_add_str(&b, "\r\n"), 0);
	say_all(&p, b.v);
	assert_int_equal(http_read_head(&p.conn), -EBADMSG);
	assert_non_null(strstr(hear(&p), "431 "));
	buf_free(&b);
	close_pair(&p);
}

static void a_body_over_the_limit_is_refused(void **state)
{
	struct buf b = {0};
	struct err e = {0};
	struct pair p;

	(void)state;
	open_pair(&p);
	say_all(&p, "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n0123456789X");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_int_equal(http_read_whole_body(&p.conn, 10, &b, &e), -EFBIG);
	buf_free(&b);
	close_pair(&p);
}

static void a_client_that_wants_100_continue_gets_it_when_the_body_is_read(void **state)
{
	struct buf b = {0};
	struct pair p;

	(void)state;
	open_pair(&p);
	say_all(&p, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_string_equal(hear(&p), "");
	assert_string_equal(body_of(&p, &b), "hi");
	assert_string_equal(hear(&p), "HTTP/1.1 100 Continue\r\n\r\n");
	buf_free(&b);
	close_pair(&p);
}

static void an_upgrade_is_answered_with_101_and_keeps_what_follows(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	say(&p, "POST /attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
		"Content-Length: 2\r\n\r\n{}raw bytes");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_int_equal(http_hijack(&p.conn, "application/vnd.docker.raw-stream"), 0);
	assert_non_null(strstr(hear(&p), "HTTP/1.1 101 UPGRADED\r\n"));
	assert_int_equal(p.conn.in.len, 9);
	assert_memory_equal(p.conn.in.v, "raw bytes", 9);
	close_pair(&p);
}

static void without_an_upgrade_a_stream_is_answered_with_200(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	say(&p, "POST /attach HTTP/1.1\r\n\r\n");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_int_equal(http_hijack(&p.conn, "application/vnd.docker.raw-stream"), 0);
	assert_non_null(strstr(hear(&p), "HTTP/1.1 200 OK\r\n"));
	close_pair(&p);
}

static void a_chunked_answer_has_its_frame_and_end(void **state)
{
	struct pair p;
	const char *answer;

	(void)state;
	open_pair(&p);
	say(&p, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_int_equal(http_stream_begin(&p.conn, 200, "text/plain"), 0);
	assert_int_equal(http_stream_write(&p.conn, "0123456789abcdef!", 17), 0);
	assert_int_equal(http_stream_write(&p.conn, "", 0), 0);
	assert_int_equal(http_stream_end(&p.conn), 0);
	answer = hear(&p);
	assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n"));
	close_pair(&p);
}

static void a_head_request_gets_no_body(void **state)
{
	struct pair p;
	const char *answer;

	(void)state;
	open_pair(&p);
	say(&p, "HEAD /_ping HTTP/1.1\r\n\r\n");
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_int_equal(http_send(&p.conn, 200, "text/plain", "OK", 2), 0);
	answer = hear(&p);
	assert_non_null(strstr(answer, "Content-Length: 2\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	close_pair(&p);
}

static void an_unread_body_is_dropped_before_the_next_request(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	say_all(&p, "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n");
	assert_int_equal(http_read_head(&p.conn), 1);
	http_drain(&p.conn);
	assert_false(p.conn.close);
	assert_int_equal(http_read_head(&p.conn), 1);
	assert_string_equal(p.conn.target, "/b");
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_without_a_body_is_read),
		cmocka_unit_test(pipelined_requests_come_one_after_the_other_whatever_the_cuts),
		cmocka_unit_test(every_truncation_is_an_end_and_no_request),
		cmocka_unit_test(what_is_no_http_is_answered_with_400),
		cmocka_unit_test(too_many_headers_are_refused),
		cmocka_unit_test(a_body_over_the_limit_is_refused),
		cmocka_unit_test(a_client_that_wants_100_continue_gets_it_when_the_body_is_read),
		cmocka_unit_test(an_upgrade_is_answered_with_101_and_keeps_what_follows),
		cmocka_unit_test(without_an_upgrade_a_stream_is_answered_with_200),
		cmocka_unit_test(a_chunked_answer_has_its_frame_and_end),
		cmocka_unit_test(a_head_request_gets_no_body),
		cmocka_unit_test(an_unread_body_is_dropped_before_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
