/* What a docker client on another machine runs here over ssh. */
#ifndef SAMPAN_CLI_DIAL_H
#define SAMPAN_CLI_DIAL_H

/* `docker system dial-stdio`: connect standard input and output with the engine's socket. Returns
 * an exit status. */
int dial_system(int argc, char **argv);

#endif
