import { parentPort, workerData } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** The body of a thread that compares one password: bcrypt in JavaScript takes a CPU for as long as it lasts. */
const { password, hash } = workerData as { readonly password: string; readonly hash: string };
parentPort?.postMessage(compareSync(password, hash));
