#include "runtime/oci/oom_score.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int oom_score_take(
	const struct json_opt_i64 *adj, int host_proc, struct oom_score *ret, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char text[16];
	ssize_t n;
	int r = 0;

	*ret = (struct oom_score){.fd = -1};
	if (!adj->set)
		return 0;
	fd = openat(host_proc, "self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "process.oomScoreAdj: open it: %s", strerror(errno));
	n = read(fd, ret->before, sizeof(ret->before) - 1);
	if (n <= 0)
		return err_set(e, n < 0 ? errno : EIO, "process.oomScoreAdj: read ours");
	snprintf(text, sizeof(text), "%d", (int)adj->v);
	r = io_write_all(fd, text, strlen(text));
	if (r < 0)
		return err_set(e, -r, "process.oomScoreAdj: %s: %s", text,
			r == -EACCES ? "below our own, which needs CAP_SYS_RESOURCE"
				     : strerror(-r));
	ret->fd = TAKE_FD(fd);
	return 0;
}

void oom_score_restore(struct oom_score *s)
{
	/* It was allowed before. */
	if (s->fd >= 0)
		(void)io_write_all(s->fd, s->before, strlen(s->before));
	fd_close(&s->fd);
}
