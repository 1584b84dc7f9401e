import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOverlayOptions } from '../../probes/overlay-layers.ts';

test('layers are parted at colons, and escapes are undone', () => {
  assert.deepEqual(parseOverlayOptions('rw,lowerdir=/l2:/l1,upperdir=/u,workdir=/w,index=off'), {
    upper: '/u',
    lower: ['/l2', '/l1'],
    areFilesWhole: true,
  });
  assert.deepEqual(parseOverlayOptions('ro,lowerdir=/a\\134:b:/c\\040d\\054e::/data').lower, [
    '/a:b',
    '/c d,e',
    '/data',
  ]);
  assert.deepEqual(parseOverlayOptions('rw,lowerdir+=/a:b,lowerdir+=/c,datadir+=/d').lower, [
    '/a:b',
    '/c',
    '/d',
  ]);
  assert.deepEqual(parseOverlayOptions(''), {
    upper: undefined,
    lower: [],
    areFilesWhole: true,
  });
});

test('metacopy and data layers part a file from its data', () => {
  for (const options of ['rw,lowerdir=/a,metacopy=on', 'rw,lowerdir=/a::/d', 'ro,lowerdir+=/a,datadir+=/d'])
    assert.equal(parseOverlayOptions(options).areFilesWhole, false, options);
  assert.equal(parseOverlayOptions('rw,lowerdir=/a,metacopy=off').areFilesWhole, true);
});

test('any text is understood', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseOverlayOptions(text)));
});
