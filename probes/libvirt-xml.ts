import { XMLParser } from 'fast-xml-parser';
import { malformed } from './errors.ts';
import { type Element, object } from './libvirt-domain.ts';

const LISTS =
  /\.(vcpus\.vcpu|iothreadids\.iothread|cputune\.(vcpu|iothread)pin|devices\.disk|iothreads\.iothread(\.queue)?)$/;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: true,
  isArray: (_, path) => LISTS.test(String(path)),
});

/**
 * Parses an XML file of libvirt and returns its root element.
 *
 * @param format name of the format, for the error
 * @throws SourceError malformed
 */
export function parseXml(text: string, root: string, format: string): Element {
  // The parser accepts truncated files: it closes open elements itself.
  if (!text.trimEnd().endsWith(`</${root}>`)) throw malformed(format, text);
  try {
    return object(object(parser.parse(text))[root]);
  } catch {
    throw malformed(format, text);
  }
}
