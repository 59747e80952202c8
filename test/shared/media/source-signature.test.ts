import { expect, test } from 'vitest';

import { signatureOf } from '../../../shared/media/source-signature.ts';

test.for([
  ['text', Buffer.from('This is not a video.\r\n')],
  ['text', Buffer.from('名前 é '.repeat(2000))],
  ['text', Buffer.from('{"streams": []}')],
  ['playlist', Buffer.from('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n')],
  ['playlist', Buffer.from('ffconcat version 1.0\nfile /etc/passwd\n')],
  ['playlist', Buffer.from('<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">')],
  ['playlist', Buffer.from('v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n')],
  ['picture', Buffer.from('ffd8ffe000104a464946', 'hex')],
  ['picture', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')],
  ['picture', Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1')],
  ['picture', Buffer.from('\0\0\0\x18ftypavif\0\0\0\0', 'latin1')],
  ['sound', Buffer.from('ID3\x04\0\0', 'latin1')],
  ['sound', Buffer.from('RIFF\x10\0\0\0WAVEfmt ', 'latin1')],
  ['mp4', Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0', 'latin1')],
  ['unknown', Buffer.from('1a45dfa3a34286810142f7', 'hex')],
  ['unknown', Buffer.from('RIFF\x10\0\0\0AVI LIST', 'latin1')],
  ['unknown', Buffer.from('FLV\x01\x05\0\0\0\x09', 'latin1')],
] as const)('the signature is %s (case %$)', ([signature, head]) => {
  expect(signatureOf(head)).toBe(signature);
});
