/* process.json of `exec --process`: any input ends with a parsed process or one error line. */
#include "runtime/oci/config.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_CLOSE int fd = memfd_create("process.json", MFD_CLOEXEC);
	struct err e = {0};
	char path[64];
	struct config c;
	int r;

	if (fd < 0 || io_write_all(fd, data, size) < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load_process(&c, AT_FDCWD, path, NULL, NULL, &e);
	if (r == 0)
		r = config_check_process(&c.process, "process", &e);
	if ((r < 0) != (e.code > 0) || (r < 0 && !e.msg[0]))
		abort();
	config_free(&c);
	return 0;
}
