#!/usr/bin/env bash
# Makes harbour.mp4, the sample clip: 100 frames of harbour.pov (640x360, 25 a
# second) with four seconds of surf and plucked strings.
#
# Needs povray (3.7, with its include files) and ffmpeg (with libx264); on
# Debian: apt-get install povray povray-includes ffmpeg. Takes about four
# minutes on two cores.
#
#   infra/sample/make-sample.sh [OUT.mp4]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/harbour.mp4}
frames=100
rate=25
seconds=$((frames / rate))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Picture.
echo "rendering $frames frames" >&2
nice povray "$here/harbour.pov" +O"$work/f.png" +FN +W640 +H360 +A0.06 +AM2 +R2 -J \
  +KFI1 +KFF"$frames" +WT2 -D 2>"$work/povray.log" || { tail -n 30 "$work/povray.log" >&2; exit 1; }

# Sound. A note is a decaying tone with two overtones; `pluck START HZ LEVEL`
# writes it as an expression in the time t.
pluck() {
  local x="max(0\,t-$1)" w="2*PI*$2*(t-$1)"
  printf '+%s*gte(t\,%s)*(1-exp(-90*%s))*exp(-1.9*%s)*(sin(%s)+0.35*exp(-3*%s)*sin(2*(%s))+0.12*exp(-6*%s)*sin(3*(%s)))' \
    "$3" "$1" "$x" "$x" "$w" "$x" "$w" "$x" "$w"
}
# D major with an added ninth, rolled up and down again; odd notes left, even right.
pad="0.05*(sin(2*PI*146.83*t)+0.8*sin(2*PI*220*t)+0.5*sin(2*PI*369.99*t))*(0.7+0.3*sin(2*PI*0.5*t))"
left=$pad right=$pad turn=0
while read -r start hz; do
  near=$(pluck "$start" "$hz" 0.17) far=$(pluck "$start" "$hz" 0.08)
  if ((turn++ % 2)); then left+=$far right+=$near; else left+=$near right+=$far; fi
done <<'NOTES'
0.05 293.66
0.35 440.00
0.65 659.26
0.95 739.99
1.45 587.33
1.75 440.00
2.05 493.88
2.35 739.99
2.85 659.26
3.00 880.00
NOTES

surf="highpass=f=150,lowpass=f=1100,lowpass=f=1800"
nice ffmpeg -nostdin -v error -y \
  -framerate "$rate" -i "$work/f%03d.png" \
  -filter_complex "
    [0:v]scale=out_color_matrix=bt709:out_range=tv,format=yuv420p[v];
    aevalsrc=exprs=$left|$right:s=48000:d=$seconds:c=stereo,aecho=0.9:0.8:170|290:0.22|0.14[strings];
    anoisesrc=c=pink:a=0.5:seed=7:r=48000:d=$seconds,$surf,tremolo=f=0.3:d=0.7[surf_l];
    anoisesrc=c=pink:a=0.5:seed=11:r=48000:d=$seconds,$surf,tremolo=f=0.4:d=0.6[surf_r];
    [surf_l][surf_r]join=inputs=2:channel_layout=stereo,volume=0.5[surf];
    [strings][surf]amix=inputs=2:duration=shortest:normalize=0,volume=7dB,atrim=end=$seconds,
      afade=in:d=0.15,afade=out:st=$((seconds - 1)):d=1,alimiter=limit=0.8:level=0[a]" \
  -map '[v]' -map '[a]' -map_metadata -1 \
  -c:v libx264 -preset veryslow -crf 21.5 -tune animation -g 50 -threads 2 \
  -color_range tv -colorspace bt709 -color_primaries bt709 -color_trc bt709 \
  -c:a aac -b:a 112k \
  -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -movflags +faststart \
  "$out"
ls -l "$out" >&2
