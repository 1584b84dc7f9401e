import { parentPort, workerData } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** Compares one password in a worker thread, because bcrypt in JavaScript occupies a CPU until it is done. */
const { password, hash } = workerData as { readonly password: string; readonly hash: string };
parentPort?.postMessage(compareSync(password, hash));
