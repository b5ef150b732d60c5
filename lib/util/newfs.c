#include "lib/util/newfs.h"

#include "lib/base/sys.h"
#include "lib/util/mount_options.h"

#include <errno.h>
#include <linux/mount.h>
#include <string.h>

/* The kernel copies a parameter's value with strndup_user(256). */
#define FSCONFIG_VALUE_MAX 255

void newfs_log(int fs, char *buf, size_t size)
{
	ssize_t n = read(fs, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

int newfs_set(int fs, const char *key, const char *value)
{
	if (strlen(value) > FSCONFIG_VALUE_MAX)
		return -ENAMETOOLONG;
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/*
 * Overlay's "lowerdir=a:b::c", longer than one parameter may be: layer by layer. Behind "::" are
 * those for data only; a backslash takes the meaning of the byte behind it.
 * Source: kernel filesystems/overlayfs.rst; lowerdir+ and datadir+ since Linux 6.7.
 */
static int add_lower_layers(int fs, const char *list)
{
	const char *key = "lowerdir+";

	while (*list) {
		char layer[FSCONFIG_VALUE_MAX + 1];
		size_t len = 0;
		int r;

		for (; *list && *list != ':'; list++) {
			if (*list == '\\' && list[1])
				list++;
			if (len == FSCONFIG_VALUE_MAX)
				return -ENAMETOOLONG;
			layer[len++] = *list;
		}
		layer[len] = '\0';
		r = newfs_set(fs, key, layer);
		if (r < 0)
			return r;
		if (list[0] == ':' && list[1] == ':')
			key = "datadir+";
		list += strspn(list, ":");
	}
	return 0;
}

int newfs_option(int fs, const char *type, const char *word)
{
	const char *eq = strchr(word, '=');
	char key[64];
	int r;

	if (!eq) {
		r = sys_fsconfig(fs, FSCONFIG_SET_FLAG, word, NULL, 0) < 0 ? -errno : 0;
		return r == -EINVAL && mount_option_is_hint(word) ? 0 : r;
	}
	if ((size_t)(eq - word) >= sizeof(key))
		return -ENAMETOOLONG;
	memcpy(key, word, (size_t)(eq - word));
	key[eq - word] = '\0';
	if (strlen(eq + 1) > FSCONFIG_VALUE_MAX && strcmp(type, "overlay") == 0 &&
		strcmp(key, "lowerdir") == 0)
		return add_lower_layers(fs, eq + 1);
	return newfs_set(fs, key, eq + 1);
}
