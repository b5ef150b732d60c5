/* Command lines by table. */
#ifndef SAMPAN_OCI_OPTIONS_H
#define SAMPAN_OCI_OPTIONS_H

#include "lib/base/err.h"
#include "lib/util/json.h"

#include <stdbool.h>
#include <stddef.h>

enum option_type {
	OPTION_FLAG,   /* bool */
	OPTION_STR,    /* const char * */
	OPTION_LIST,   /* struct json_strv: may be given again and again */
	OPTION_U32,    /* uint32_t */
	OPTION_IGNORE, /* a flag of runc's without meaning here */
	OPTION_REFUSE, /* known, and refused by name */
};

struct option_spec {
	const char *name; /* without dashes */
	char letter;	  /* short form, or 0 */
	enum option_type type;
	size_t offset; /* of the member */
	const char *help;
};

/*
 * Read options up to the first word that is none (or "--"), into the struct at @out.
 * @args: NULL-terminated; @ret_rest: the words behind
 * Returns 0 or -EINVAL with @e filled.
 */
int options_parse(const struct option_spec *specs, size_t n_specs, char **args, void *out,
	char ***ret_rest, struct err *e);

/*
 * As options_parse, but options may also stand behind words, as runc has it for all commands that
 * start no program: "update ID --memory 64M". @ret_rest gets the words alone, NULL-terminated;
 * those behind "--" are never options.
 */
int options_parse_mixed(const struct option_spec *specs, size_t n_specs, char **args, void *out,
	char ***ret_rest, struct err *e);

/*
 * What --help, which every command has, asked for: the options are not read any further then, and
 * args_count() ends the command with -ECANCELED.
 */
struct options_help {
	bool wanted;
	const struct option_spec *specs;
	size_t n_specs;
	const char *usage; /* from args_count() */
};

extern struct options_help options_help;

/* Print them, one a line. */
void options_print(const struct option_spec *specs, size_t n_specs);

#endif
