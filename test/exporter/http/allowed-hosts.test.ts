import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { type HostRules, refusal } from '../../../exporter/http/allowed-hosts.ts';

const LOOPBACK: HostRules = { listenHosts: ['127.0.0.1'], allowed: [], hostname: 'kvm1', isGuarded: false };
const LAN: HostRules = { ...LOOPBACK, listenHosts: [undefined] };
const BROWSER = { 'accept-language': 'en' };

const status = (rules: HostRules, headers: IncomingHttpHeaders, method = 'GET'): number =>
  refusal({ method, headers }, rules)?.status ?? 200;

test('on loopback only loopback names are accepted, with any port', () => {
  for (const listenHost of ['127.0.0.1', '127.0.0.53', 'localhost', '::1']) {
    const rules = { ...LOOPBACK, listenHosts: ['127.0.0.1', listenHost] };
    for (const name of ['localhost', 'LocalHost', 'localhost.', '127.0.0.1', '127.1.2.3', '[::1]']) {
      for (const host of [name, `${name}:9954`, `${name}:1`])
        assert.equal(status(rules, { host }), 200, host);
    }
    const foreign = [
      'evil.example',
      'kvm1',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '192.168.1.5',
    ];
    for (const name of [
      ...foreign,
      '0.0.0.0',
      'notlocalhost',
      '[::2]',
      '',
      'a b',
      'localhost:x',
      'x@localhost',
    ]) {
      assert.equal(status(rules, { host: name }), 421, name);
    }
  }
});

test('a request with two hosts is refused, whichever comes first', () => {
  const headers = { host: 'localhost' };
  const of = (...host: string[]) => refusal({ headers, headersDistinct: { host } }, LOOPBACK)?.status;
  assert.equal(of('localhost', 'evil.example'), 421);
  assert.equal(of('localhost'), undefined);
});

test('an absolute URL in the request line is checked like the Host header', () => {
  const of = (url: string, rules = LOOPBACK) => refusal({ url, headers: { host: 'localhost' } }, rules);
  for (const url of [
    '/metrics',
    '*',
    '//evil.example/metrics',
    'http://localhost:9954/metrics',
    'HTTP://127.0.0.1',
  ])
    assert.equal(of(url), undefined, url);
  for (const url of [
    'http://evil.example/metrics',
    'https://evil.example',
    'http://localhost@evil.example/',
    'http:///metrics',
  ])
    assert.equal(of(url)?.status, 421, url);
  assert.match(of('http://evil.example/metrics')?.text ?? '', /not known as "evil\.example"/);
  assert.equal(of('http://evil.example/', { ...LOOPBACK, allowed: ['*'] }), undefined);
});

test('the refusal quotes no more of the name than a line', () => {
  const text = refusal({ headers: { host: `evil\u001b${'x'.repeat(5000)}` } }, LOOPBACK)?.text ?? '';
  assert.match(text, /^This exporter is not known as "evil\\u001bx+"\. .*--web\.allowed-hosts/);
  assert.ok(text.length < 300);
});

test('on other addresses, programs may use any name, and browsers only names that no third party can register', () => {
  for (const host of ['kvm1.example.org:9954', 'evil.example', '192.168.1.5:9954']) {
    assert.equal(status(LAN, { host, 'user-agent': 'Prometheus/3.5.0' }), 200, host);
  }
  for (const host of ['192.168.1.5:9954', '[2001:db8::1]:9954', 'kvm1:9954', 'localhost']) {
    assert.equal(status(LAN, { host, ...BROWSER }), 200, host);
  }
  const browsers = [BROWSER, { 'user-agent': 'Mozilla/5.0' }, { 'sec-fetch-site': 'none' }];
  for (const headers of browsers) assert.equal(status(LAN, { host: 'evil.example', ...headers }), 421);
  const named = { ...LAN, hostname: 'KVM1.example.org' };
  assert.equal(status(named, { host: 'kvm1.example.org', ...BROWSER }), 200);
  assert.equal(status({ ...LAN, isGuarded: true }, { host: 'kvm1.example.org', ...BROWSER }), 200);
  assert.equal(status({ ...LOOPBACK, isGuarded: true }, { host: 'kvm1.example.org' }), 421);
});

test('allowed names are accepted on every listener', () => {
  const allowed = ['kvm1.example.org', '*.lab.example'];
  for (const rules of [
    { ...LOOPBACK, allowed },
    { ...LAN, allowed },
  ]) {
    for (const host of ['KVM1.example.org', 'a.lab.example:80']) {
      assert.equal(status(rules, { host, ...BROWSER }), 200, host);
    }
    for (const host of ['lab.example', 'evil-lab.example', 'x.kvm1.example.org']) {
      assert.equal(status(rules, { host, ...BROWSER }), 421, host);
    }
  }
  assert.equal(status({ ...LOOPBACK, allowed: ['*'] }, { host: 'evil.example' }), 200);
});

test('a foreign origin can neither read nor change anything', () => {
  const host = 'localhost:9954';
  for (const method of ['GET', 'POST']) {
    const foreign = [
      'http://evil.example',
      'null',
      'http://localhost:3000',
      'file://',
      'http://localhost',
      '',
    ];
    for (const origin of foreign) assert.equal(status(LOOPBACK, { host, origin }, method), 403, origin);
    assert.equal(status(LOOPBACK, { host, origin: 'http://localhost:9954' }, method), 200);
    const allowed = ['page.example'];
    assert.equal(status({ ...LOOPBACK, allowed }, { host, origin: 'https://page.example' }, method), 200);
    assert.equal(
      status({ ...LOOPBACK, allowed: ['*'] }, { host, origin: 'https://evil.example' }, method),
      403,
    );
    for (const site of ['cross-site', 'same-site']) {
      assert.equal(
        status(LOOPBACK, { host, 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' }, method),
        403,
      );
    }
    assert.equal(status(LOOPBACK, { host, 'sec-fetch-site': 'same-origin' }, method), 200);
  }
});

test('a link from another site works, a form from another site does not', () => {
  const headers = { host: 'localhost', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
  assert.equal(status(LOOPBACK, headers), 200);
  assert.equal(status(LOOPBACK, headers, 'POST'), 403);
});

test('HTTP/1.0 without a name is no browser', () => {
  assert.equal(status(LOOPBACK, {}), 200);
});
