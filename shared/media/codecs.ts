/**
 * PURE. The decoders that a source may use: the common formats of cameras, editors and the web.
 *
 * ffmpeg has several hundred decoders. Most are for the formats of old games, are seldom tested, and account for many of its
 * vulnerabilities. A decoder that is not in these lists is never opened, whatever a file declares.
 */

/** Codec names. A source whose picture uses another codec is rejected, and the error names the codec. */
const PICTURE_CODECS = new Set(
  (
    'h264 hevc av1 vp8 vp9 vp6 vp6a vp6f theora vp3 flv1 h261 h263 h263p mpeg1video mpeg2video mpeg4 ' +
    'msmpeg4v1 msmpeg4v2 msmpeg4v3 wmv1 wmv2 wmv3 vc1 mjpeg mjpegb jpeg2000 png prores dnxhd cfhd hap ' +
    'dvvideo svq1 svq3 cinepak ffv1 ffvhuff huffyuv utvideo magicyuv lagarith qtrle rpza smc msvideo1 ' +
    'msrle rawvideo v210 v308 v408 v410 r10k r210 ayuv yuv4 dirac flashsv flashsv2'
  ).split(' '),
);

/** Decoders whose names differ from their codec's. `gif` and `webp` are left out: no video container uses them. */
const OTHER_DECODERS: Readonly<Record<string, readonly string[]>> = {
  av1: ['libdav1d', 'libaom-av1'],
  flv1: ['flv'],
  jpeg2000: ['libopenjpeg'],
  msmpeg4v3: ['msmpeg4'],
  vp8: ['libvpx'],
  vp9: ['libvpx-vp9'],
};

/**
 * Sound and subtitles are copied, not decoded. But ffprobe opens a decoder for each track and fails if that decoder is not
 * allowed, and often has to decode a little of a sound track to find its parameters.
 */
const SOUND_DECODERS = (
  'aac aac_fixed aac_latm ac3 ac3_fixed eac3 dca truehd mlp flac alac als ape mp1 mp1float mp2 mp2float ' +
  'mp3 mp3float mp3adu mp3adufloat mp3on4 mp3on4float opus libopus vorbis libvorbis speex libspeex ' +
  'nellymoser wavpack tta tak s302m wmav1 wmav2 wmapro wmalossless wmavoice amrnb amrwb ' +
  'libopencore_amrnb libopencore_amrwb atrac3 atrac3al atrac3plus cook real_144 real_288 sipr ralf ' +
  'qcelp qdm2 qdmc gsm gsm_ms libgsm libgsm_ms g722 g726 g726le g723_1 g729 evrc ilbc mace3 mace6 ' +
  'comfortnoise dvaudio dolby_e truespeech sbc adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf ' +
  'adpcm_yamaha adpcm_ct pcm_alaw pcm_mulaw pcm_bluray pcm_dvd pcm_f16le pcm_f24le pcm_f32be pcm_f32le ' +
  'pcm_f64be pcm_f64le pcm_s8 pcm_s16be pcm_s16le pcm_s16be_planar pcm_s16le_planar pcm_s24be pcm_s24le ' +
  'pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le pcm_u8 pcm_u16be pcm_u16le ' +
  'pcm_u24be pcm_u24le'
).split(' ');
const SUBTITLE_DECODERS =
  'ass ssa srt subrip text mov_text webvtt dvbsub dvdsub pgssub xsub cc_dec libzvbi_teletextdec'.split(' ');

/** The value of ffmpeg's `-codec_whitelist`. */
export const DECODERS_ALLOWED = [
  ...PICTURE_CODECS,
  ...Object.values(OTHER_DECODERS).flat(),
  ...SOUND_DECODERS,
  ...SUBTITLE_DECODERS,
].join(',');

/** The value of `-codec_whitelist` for a source of this codec and no other. Throws RangeError if the codec is not allowed. */
export function decodersOf(codec: string): string {
  if (!isPictureCodecAllowed(codec)) throw new RangeError(`expected an allowed codec, received ${codec}`);
  return [codec, ...(OTHER_DECODERS[codec] ?? [])].join(',');
}

/** The decoder that ffmpeg refused to use, according to a line of its output. */
export function rejectedDecoder(line: string): string | undefined {
  return /Codec \(([\w-]+)\) not on whitelist/.exec(line)?.[1];
}

export function isPictureCodecAllowed(codec: string): boolean {
  return PICTURE_CODECS.has(codec);
}
