/*
 * A real VM for benchmarks, with the threads of a QEMU: `idle-vm VCPUS ...`. Its vCPUs exist in KVM and never run, since the
 * benchmark measures the exporter only. Prints a line when all threads run; ends with its parent.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

static pthread_barrier_t started;
static int vm;

static void *sleeper(void *name)
{
	prctl(PR_SET_NAME, name);
	pthread_barrier_wait(&started);
	for (;;)
		pause();
	return NULL;
}

static void *vcpu(void *number)
{
	char name[16];

	snprintf(name, sizeof(name), "CPU %ld/KVM", (long)number);
	if (ioctl(vm, KVM_CREATE_VCPU, (long)number) < 0)
		_exit(3);
	return sleeper(name);
}

int main(int argc, char **argv)
{
	long vcpus = argc > 1 ? atol(argv[1]) : 1;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	pthread_attr_t small;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return 2;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&started, NULL, vcpus + 3);
	for (long i = 0; i < vcpus; i++)
		pthread_create(&thread, &small, vcpu, (void *)i);
	pthread_create(&thread, &small, sleeper, "IO io0");
	pthread_create(&thread, &small, sleeper, "call_rcu");
	pthread_barrier_wait(&started);
	puts("up");
	fflush(stdout);
	pause();
	return 0;
}
