/* Ids and names for new containers. */
#include "runtime/engine/container.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int id_make(char ret[static CONTAINER_ID_BYTES])
{
	unsigned char bytes[32];

	do {
		if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
			return -errno;
		for (size_t i = 0; i < sizeof(bytes); i++)
			(void)snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
		/* Its first twelve digits become a host name, and must not look like a number. */
	} while (strspn(ret, "0123456789") >= 12);
	return 0;
}

void name_make(unsigned round, char *buf, size_t size)
{
	static const char *const how[] = {"able", "amber", "bold", "brave", "bright", "brisk",
		"calm", "clear", "clever", "cool", "crisp", "deep", "eager", "early", "fair",
		"fast", "fine", "firm", "fleet", "fresh", "gentle", "glad", "golden", "grand",
		"green", "hardy", "happy", "keen", "kind", "light", "lively", "lucky", "merry",
		"mild", "misty", "neat", "nimble", "noble", "proud", "quick", "quiet", "ready",
		"red", "rich", "rosy", "salty", "sharp", "silver", "sleek", "smart", "smooth",
		"snug", "solid", "steady", "still", "sturdy", "sunny", "sure", "swift", "tidy",
		"trim", "true", "warm", "wise"};
	static const char *const what[] = {"anchor", "barge", "bay", "beacon", "boat", "bow",
		"breeze", "brig", "buoy", "cabin", "canoe", "cape", "cargo", "cove", "crane",
		"crew", "deck", "delta", "dock", "dory", "ferry", "fjord", "galley", "gull",
		"harbour", "heron", "hull", "island", "jetty", "junk", "kayak", "keel", "ketch",
		"lagoon", "lantern", "lighter", "lugger", "mast", "mole", "oar", "pier", "pilot",
		"plank", "port", "quay", "raft", "reef", "rudder", "sail", "sampan", "schooner",
		"seal", "shore", "skiff", "sloop", "sound", "stern", "strait", "tern", "tide",
		"tiller", "wave", "wharf", "yawl"};
	unsigned char pick[3] = {0};
	size_t n_how = sizeof(how) / sizeof(how[0]);
	size_t n_what = sizeof(what) / sizeof(what[0]);

	(void)!getrandom(pick, sizeof(pick), 0);
	(void)snprintf(buf, size, "%s_%s", how[pick[0] % n_how], what[pick[1] % n_what]);
	if (round) {
		size_t len = strlen(buf);

		(void)snprintf(buf + len, size - len, "%u", pick[2] % 10);
	}
}

int container_check_name(const char *name, struct err *e)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *bare = name[0] == '/' ? name + 1 : name;
	size_t len = strlen(bare);

	if (len >= 2 && len <= 255 && strspn(bare, letters) == len && !strchr("_.-", bare[0]))
		return 0;
	return err_set(e, EINVAL,
		"Invalid container name (%.128s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
		name);
}
