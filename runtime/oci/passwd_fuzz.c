/* /etc/passwd as an image brings it along: four bytes of uid, one of the buffer's size, the text.
 */
#include "runtime/oci/passwd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t uid;
	size_t room;
	char *text;
	char *buf;
	int r;

	if (size < 5)
		return 0;
	memcpy(&uid, data, sizeof(uid));
	room = data[4] + 1U;
	/* Of exactly these sizes, so that one byte too far is seen. */
	text = malloc(size - 5 ? size - 5 : 1);
	buf = malloc(room);
	if (!text || !buf)
		abort();
	memcpy(text, data + 5, size - 5);
	r = passwd_find_home(text, size - 5, uid, buf, room);
	if (r != -ENOENT && (r != 0 || strnlen(buf, room) == room || !buf[0]))
		abort();
	free(text);
	free(buf);
	return 0;
}
