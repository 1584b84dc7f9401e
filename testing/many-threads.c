/* A process with many threads that sleep; with a second argument other threads are born and end all the time. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *sleeper(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

static void *mayfly(void *nothing)
{
	return nothing;
}

int main(int argc, char **argv)
{
	pthread_attr_t small;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = 0; argc > 1 && i < atoi(argv[1]); i++)
		if (pthread_create(&thread, &small, sleeper, NULL))
			return 1;
	puts("up");
	fflush(stdout);
	while (argc > 2) {
		if (pthread_create(&thread, &small, mayfly, NULL) == 0)
			pthread_join(thread, NULL);
		usleep(100);
	}
	pause();
	return 0;
}
