/*
 * The minimum cost of reading: opens, reads and closes each file of a list once. Usage: read-files LIST;
 * prints CPU seconds (user + system), wall seconds, files and bytes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char buffer[64 * 1024];

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static char *read_list(const char *path, size_t *length)
{
	struct stat info;
	int fd = open(path, O_RDONLY);
	char *list;
	size_t done = 0;

	if (fd < 0 || fstat(fd, &info) != 0 || (list = malloc(info.st_size + 1)) == NULL) {
		perror(path);
		exit(1);
	}
	while (done < (size_t)info.st_size) {
		ssize_t got = read(fd, list + done, info.st_size - done);

		if (got <= 0)
			exit(1);
		done += got;
	}
	close(fd);
	*length = done;
	return list;
}

int main(int argc, char **argv)
{
	size_t length, files = 0, bytes = 0;
	double cpu, wall;
	char *list, *name, *end;

	if (argc != 2)
		return 2;
	list = read_list(argv[1], &length);
	memset(buffer, 0, sizeof(buffer));
	cpu = cpu_seconds();
	wall = wall_seconds();
	for (name = list; name < list + length; name = end + 1) {
		int fd;
		ssize_t got;

		end = memchr(name, '\n', list + length - name);
		if (end == NULL)
			break;
		*end = '\0';
		fd = open(name, O_RDONLY);
		got = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));
		if (got < 0) {
			perror(name);
			return 1;
		}
		close(fd);
		files++;
		bytes += got;
	}
	wall = wall_seconds() - wall;
	cpu = cpu_seconds() - cpu;
	printf("%.6f %.6f %zu %zu\n", cpu, wall, files, bytes);
	return 0;
}
