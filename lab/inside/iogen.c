// iogen DEVICE CPU DEPTH read|mixed: endless random I/O of 4 KiB with O_DIRECT, by DEPTH processes with one
// I/O in flight each. "mixed" is three reads to one write.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 4096 };
static _Alignas(BLOCK) char block[BLOCK];

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int cpu = atoi(argv[2]), depth = atoi(argv[3]), mixed = strcmp(argv[4], "mixed") == 0;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
  int device = open(argv[1], O_RDWR | O_DIRECT);
  unsigned long long bytes = 0;
  if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) < 0) {
    perror(argv[1]);
    return 1;
  }
  int number = 0;
  while (number < depth - 1 && fork() != 0) number++;
  unsigned random = 12345 + cpu + 2 * number;
  for (unsigned long count = 0;; count++) {
    random = random * 1103515245u + 12345u;
    off_t at = (off_t)((random >> 3) % (bytes / BLOCK)) * BLOCK;
    int writes = mixed && count % 4 == 3;
    ssize_t done = writes ? pwrite(device, block, BLOCK, at) : pread(device, block, BLOCK, at);
    if (done != BLOCK) {
      perror("I/O");
      return 1;
    }
  }
}
