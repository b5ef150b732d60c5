#include "init/children.h"

#include "init/adopt.h"
#include "init/limits.h"
#include "init/service.h"
#include "init/shutdown.h"

#include <errno.h>
#include <sys/wait.h>

bool children_reap(void)
{
	for (int i = 0; i < REAP_BATCH; i++) {
		siginfo_t info = {0};

		/* Looked at first and taken at the end: until then its number is nobody else's. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 &&
			errno != EINTR)
			break;
		if (info.si_pid == 0)
			break;
		if (!service_reap(info.si_pid, info.si_code, info.si_status) &&
			!adopt_reap(info.si_pid, info.si_code, info.si_status))
			shutdown_reap(info.si_pid);
		(void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG | __WALL);
		if (i == REAP_BATCH - 1)
			return true;
	}
	adopt_check_lost();
	return false;
}

bool children_none(void)
{
	siginfo_t info = {0};

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD;
}
