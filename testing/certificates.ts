import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes certificates with openssl: `<name>.crt` and `<name>.key` in a folder. */
export class Certificates {
  constructor(private readonly folder: string) {}

  /** A certificate authority. */
  authority(name: string): void {
    this.#openssl(
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -keyout ${name}.key -out ${name}.crt`,
    );
  }

  /** A certificate for 127.0.0.1, of a server or a client. */
  issue(name: string, authority: string): void {
    writeFileSync(join(this.folder, 'san.ext'), 'subjectAltName=IP:127.0.0.1\n');
    this.#openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`,
    );
    this.#openssl(
      `x509 -req -in ${name}.csr -CA ${authority}.crt -CAkey ${authority}.key -CAcreateserial -days 1 -extfile san.ext -out ${name}.crt`,
    );
  }

  #openssl(args: string): void {
    execFileSync('openssl', args.split(' '), { cwd: this.folder, stdio: 'pipe' });
  }
}
