import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerOf } from '../../../exporter/http/peer.ts';
import { Slots } from '../../../exporter/http/slots.ts';

function filled(...peers: string[]): Slots<number> {
  const places = new Slots<number>(peers.length);
  for (const [i, peer] of peers.entries()) {
    assert.equal(places.victim(peer), undefined);
    places.take(i, peer);
  }
  return places;
}

test('the peer with the most places loses its oldest one', () => {
  assert.deepEqual(filled('b', 'a', 'a', 'a').victim('b'), { holder: 1, peer: 'a' });
  assert.deepEqual(filled('b', 'a', 'a', 'a').victim('c'), { holder: 1, peer: 'a' });
});

test('the new peer loses its own oldest place if it has the most', () => {
  assert.deepEqual(filled('b', 'a', 'a').victim('a'), { holder: 1, peer: 'a' });
  assert.deepEqual(filled('b', 'b', 'a', 'a').victim('a'), { holder: 2, peer: 'a' });
});

test('if each peer has one place, the oldest is lost, and the new peer is named', () => {
  assert.deepEqual(filled('a', 'b').victim('c'), { holder: 0, peer: 'c' });
});

test('a released place is free', () => {
  const places = filled('a', 'a');
  places.free(0);
  assert.equal(places.victim('b'), undefined);
  assert.equal(places.taken, 1);
});

test('a peer is an IPv4 address or an IPv6 network', () => {
  const peers: [string | undefined, string][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, ''],
  ];
  for (const [address, peer] of peers) assert.equal(peerOf(address), peer, address);
});

test('only holders that may leave are evicted, and without them nobody is', () => {
  const places = filled('a', 'a', 'b');
  assert.equal(
    places.victim('c', () => false),
    undefined,
  );
  assert.deepEqual(
    places.victim('c', (holder) => holder === 2),
    { holder: 2, peer: 'c' },
  );
});
