/*
 * A command line read through a table, as docker's clients read theirs: -x VALUE, -xVALUE,
 * -x=VALUE,
 * --long VALUE, --long=VALUE, switches joined as in -it, and -- behind which nothing is an option.
 */
#ifndef SAMPAN_CLI_OPTIONS_H
#define SAMPAN_CLI_OPTIONS_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct option {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* what --help calls it; NULL: a switch */
	const char *help;
	/*
	 * Called for each occurrence, in order.
	 * @to: the struct that the command's options fill
	 * @value: of a switch "true" or "false"
	 * Returns 0 or -errno with @e filled.
	 */
	int (*take)(void *to, const struct option *o, const char *value, struct err *e);
	size_t offset;	 /* of the member that @take fills */
	const char *key; /* for a @take that needs a name: the field of the API */
};

struct options {
	const struct option *v;
	size_t n;
	bool ordered; /* the first word that is no option ends them: what follows is a command */
};

/*
 * Read @argv, whose first word is the command's name.
 * @to: what the options fill
 * The words that are no options move to the front of @argv (its first word stays), @argc becomes
 * their number.
 * Returns 0; -ECANCELED for --help; -EINVAL with @e filled.
 */
int options_parse(const struct options *options, void *to, int *argc, char **argv, struct err *e);

/* Takers: a bool; a const char *; an int64_t of at least 0; an int64_t. */
int option_bool(void *to, const struct option *o, const char *value, struct err *e);
int option_text(void *to, const struct option *o, const char *value, struct err *e);
int option_count(void *to, const struct option *o, const char *value, struct err *e);
int option_int(void *to, const struct option *o, const char *value, struct err *e);

/* Refuse the @value of an option, in docker's words. Returns -EINVAL. */
int option_refuse(const struct option *o, const char *value, const char *why, struct err *e);

#endif
