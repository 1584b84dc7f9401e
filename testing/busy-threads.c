/*
 * A process whose threads use the CPU in different ways, for comparing what the kernel counts of them: computing, calling the
 * kernel, sleeping, and one of each with its own name, CPU and policy. Prints a line when all run; ends with its parent.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS = 5 };

static pthread_barrier_t started;

static void *work(void *number)
{
	long i = (long)number;
	char name[16];
	cpu_set_t one;
	struct sched_param batch = { 0 };

	snprintf(name, sizeof(name), "busy (%ld)\n R", i);
	prctl(PR_SET_NAME, name);
	if (i % 2) {
		CPU_ZERO(&one);
		CPU_SET(0, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	if (i == 3)
		sched_setscheduler(0, SCHED_BATCH, &batch);
	pthread_barrier_wait(&started);
	for (;;) {
		for (volatile int n = 0; i < 4 && n < 2000000; n++)
			;
		for (int n = 0; i % 2 && n < 5000; n++)
			getppid();
		usleep(i == 4 ? 1000 : 2000);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_barrier_init(&started, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, work, (void *)i);
	pthread_barrier_wait(&started);
	puts("up");
	fflush(stdout);
	pause();
	return 0;
}
