import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanLabelText } from '../../../exporter/metrics/label-text.ts';
import { labelBlock, parseLabels, valueEnd, withLabel } from '../../../exporter/metrics/labels.ts';

test('labels are written in order, escaped, and an absent value is empty', () => {
  assert.equal(labelBlock({ vm: 'web', role: 'vcpu' }), 'vm="web",role="vcpu"');
  assert.equal(labelBlock({ vm: 'a"b\\c' }), 'vm="a\\"b\\\\c"');
  assert.equal(labelBlock({}), '');
  assert.equal(labelBlock({ a: 'x', b: 7, c: undefined }), 'a="x",b="7",c=""');
  assert.equal(withLabel(labelBlock({ vm: 'web' }), 'cpu', '"'), 'vm="web",cpu="\\""');
});

test('characters that a terminal interprets or that are invisible are replaced', () => {
  const unfit = [
    '\n',
    '\u001b',
    '\u007f',
    '\u0085',
    '\u200b',
    '\u202e',
    '\u2066',
    '\ufeff',
    '\ufffd',
    '\ud800',
  ];
  for (const character of [...unfit, '\u{e0041}'])
    assert.equal(labelBlock({ vm: `a${character}b` }), 'vm="a?b"', JSON.stringify(character));
  assert.equal(cleanLabelText('größe 仮想 🖥 ~ !'), 'größe 仮想 🖥 ~ !');
});

test('labels are read back unchanged, whatever they contain', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^["\\,=a]{0,8}$/));
  fc.assert(
    fc.property(text, text, (vm, thread) => {
      const block = labelBlock({ vm, thread });
      assert.deepEqual(parseLabels(block), { vm: cleanLabelText(vm), thread: cleanLabelText(thread) });
    }),
  );
  assert.deepEqual(parseLabels(''), {});
  assert.deepEqual(parseLabels('vm="a\\"b\\\\",le="+Inf"'), { vm: 'a"b\\', le: '+Inf' });
});

test('a value ends at its first quote that is not escaped, or with the block', () => {
  assert.equal(valueEnd('vm="web",x="y"', 4), 7);
  assert.equal(valueEnd('vm=""', 4), 4);
  assert.equal(valueEnd('vm="a\\"b"', 4), 8);
  assert.equal(valueEnd('vm="a\\\\"', 4), 7);
  assert.equal(valueEnd('\\"', 1), 1, 'a backslash before the value escapes nothing');
  assert.equal(valueEnd('vm="web', 4), 7);
  assert.equal(valueEnd('vm="a\\"', 4), 7);
  assert.equal(valueEnd('"', 0), 0);
});
