/*
 * Runs OCI runtimes by turns and prints what each run took. No statistics here: a line is a sample.
 *
 *   oci-bench run|cycle|exec|memory ROUNDS TRUE SLEEP NAME=ROOT=PROGRAM…
 *   oci-bench keep N TRUE SLEEP NAME=ROOT=PROGRAM…
 *
 *   run      run, in the foreground                      (bundle TRUE)
 *   cycle    create, start, wait for its end, delete     (bundle TRUE)
 *   exec     exec of /program in a running container     (bundle SLEEP)
 *   memory   the peak of a cgroup that holds the runtime of a cycle; needs the memory controller
 *   keep     create and start, N times, all kept         (bundle SLEEP)
 *
 * A line is: SCENARIO NAME NUMBER WALL_NS CPU_NS PEAK_KB. The processor time is that of the
 * runtime's processes and of the container's, which are reaped here as orphans; the peak is the
 * greatest resident set of a runtime's process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX 16
#define MEMORY_CGROUP "/sys/fs/cgroup/oci-bench"

struct contender {
	const char *name;
	const char *root;
	const char *program;
};

struct sample {
	uint64_t wall_ns;
	uint64_t cpu_ns;
	long peak_kb;
};

struct bench {
	const char *bundle_true;
	const char *bundle_sleep;
	struct contender v[CONTENDERS_MAX];
	int n;
	int cgroup; /* where the runtimes go; -1: nowhere else */
	int null;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "oci-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
}

/* Wait for @pid and add what it used. */
static int reap(pid_t pid, struct sample *s, int is_runtime)
{
	struct rusage used;
	int status;

	while (wait4(pid, &status, 0, &used) < 0) {
		if (errno != EINTR)
			die("wait");
	}
	s->cpu_ns += cpu_ns(&used);
	if (is_runtime && used.ru_maxrss > s->peak_kb)
		s->peak_kb = used.ru_maxrss;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* As vfork: the copy of this process would count, and its pages be taken for the runtime's. */
static void call(
	const struct bench *b, const struct contender *c, struct sample *s, const char *const *args)
{
	struct clone_args how = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
	const char *argv[16] = {c->program, "--root", c->root};
	uint64_t start = now_ns();
	pid_t pid;
	int r;

	for (int i = 0; args[i]; i++)
		argv[3 + i] = args[i];
	if (b->cgroup >= 0) {
		how.flags |= CLONE_INTO_CGROUP;
		how.cgroup = (uint64_t)b->cgroup;
	}
	pid = (pid_t)syscall(SYS_clone3, &how, sizeof(how));
	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		dup2(b->null, 0);
		dup2(b->null, 1);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	r = reap(pid, s, 1);
	s->wall_ns += now_ns() - start;
	if (r != 0) {
		fprintf(stderr, "oci-bench: %s %s: exit status %d\n", c->program, args[0], r);
		exit(1);
	}
}

#define CALL(b, c, s, ...) call(b, c, s, (const char *const[]){__VA_ARGS__, NULL})

static pid_t read_pid(const char *path)
{
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (!f || fscanf(f, "%d", &pid) != 1)
		die(path);
	fclose(f);
	return (pid_t)pid;
}

static void print(const char *scenario, const struct contender *c, int number, struct sample s)
{
	printf("%s %s %d %llu %llu %ld\n", scenario, c->name, number, (unsigned long long)s.wall_ns,
		(unsigned long long)s.cpu_ns, s.peak_kb);
	fflush(stdout);
}

static struct sample run(const struct bench *b, const struct contender *c)
{
	struct sample s = {0};

	CALL(b, c, &s, "run", "--bundle", b->bundle_true, c->name);
	return s;
}

static pid_t create(const struct bench *b, const struct contender *c, const char *bundle,
	const char *id, struct sample *s)
{
	char pid_file[512];

	snprintf(pid_file, sizeof(pid_file), "%s.pid", c->root);
	CALL(b, c, s, "create", "--bundle", bundle, "--pid-file", pid_file, id);
	CALL(b, c, s, "start", id);
	return read_pid(pid_file);
}

static struct sample cycle(const struct bench *b, const struct contender *c)
{
	struct sample s = {0};
	pid_t pid = create(b, c, b->bundle_true, c->name, &s);
	uint64_t start = now_ns();

	reap(pid, &s, 0);
	s.wall_ns += now_ns() - start;
	CALL(b, c, &s, "delete", c->name);
	return s;
}

static struct sample exec(const struct bench *b, const struct contender *c)
{
	struct sample s = {0};

	CALL(b, c, &s, "exec", c->name, "/program");
	return s;
}

static void destroy(const struct bench *b, const struct contender *c, const char *id, pid_t pid)
{
	struct sample ignored = {0};

	kill(pid, SIGKILL);
	reap(pid, &ignored, 0);
	CALL(b, c, &ignored, "delete", id);
}

static void rounds(const struct bench *b, const char *scenario, int n,
	struct sample (*measure)(const struct bench *, const struct contender *))
{
	/* Round 0 warms up and is not printed. */
	for (int i = 0; i <= n; i++) {
		for (int k = 0; k < b->n; k++) {
			struct sample s = measure(b, &b->v[k]);

			if (i > 0)
				print(scenario, &b->v[k], i, s);
		}
	}
}

static void in_running_container(const struct bench *b, int n)
{
	struct sample ignored = {0};
	pid_t pids[CONTENDERS_MAX];

	for (int k = 0; k < b->n; k++)
		pids[k] = create(b, &b->v[k], b->bundle_sleep, b->v[k].name, &ignored);
	rounds(b, "exec", n, exec);
	for (int k = 0; k < b->n; k++)
		destroy(b, &b->v[k], b->v[k].name, pids[k]);
}

static struct sample memory(const struct bench *b, const struct contender *c)
{
	struct bench inside = *b;
	struct sample s;
	char text[32] = "";
	int fd;

	if (mkdir(MEMORY_CGROUP, 0755) < 0)
		die(MEMORY_CGROUP);
	inside.cgroup = open(MEMORY_CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s = cycle(&inside, c);
	fd = openat(inside.cgroup, "memory.peak", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("memory.peak");
	close(fd);
	close(inside.cgroup);
	if (rmdir(MEMORY_CGROUP) < 0)
		die(MEMORY_CGROUP);
	s.peak_kb = atol(text) / 1024;
	return s;
}

static void keep(const struct bench *b, int n)
{
	pid_t *pids = calloc((size_t)n, sizeof(*pids));
	char id[32];

	if (!pids)
		die("out of memory");
	for (int k = 0; k < b->n; k++) {
		for (int i = 0; i < n; i++) {
			struct sample s = {0};

			snprintf(id, sizeof(id), "keep-%d", i);
			pids[i] = create(b, &b->v[k], b->bundle_sleep, id, &s);
			print("keep", &b->v[k], i + 1, s);
		}
		for (int i = 0; i < n; i++) {
			snprintf(id, sizeof(id), "keep-%d", i);
			destroy(b, &b->v[k], id, pids[i]);
		}
	}
	free(pids);
}

static void add_contender(struct bench *b, char *text)
{
	char *root = strchr(text, '=');
	char *program = root ? strchr(root + 1, '=') : NULL;

	if (!program || b->n == CONTENDERS_MAX) {
		fprintf(stderr, "oci-bench: expected NAME=ROOT=PROGRAM, got %s\n", text);
		exit(2);
	}
	*root = *program = '\0';
	b->v[b->n++] = (struct contender){text, root + 1, program + 1};
}

int main(int argc, char **argv)
{
	struct bench b = {.cgroup = -1};
	int n = argc > 5 ? atoi(argv[2]) : 0;

	if (n < 1) {
		fprintf(stderr, "usage: see oci-bench.c\n");
		return 2;
	}
	b.bundle_true = argv[3];
	b.bundle_sleep = argv[4];
	b.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 5; i < argc; i++)
		add_contender(&b, argv[i]);
	if (b.null < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die("prepare");
	if (strcmp(argv[1], "run") == 0)
		rounds(&b, "run", n, run);
	else if (strcmp(argv[1], "cycle") == 0)
		rounds(&b, "cycle", n, cycle);
	else if (strcmp(argv[1], "memory") == 0)
		rounds(&b, "memory", n, memory);
	else if (strcmp(argv[1], "exec") == 0)
		in_running_container(&b, n);
	else if (strcmp(argv[1], "keep") == 0)
		keep(&b, n);
	else
		return 2;
	return 0;
}
