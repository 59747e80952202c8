// A small harbour at sunset: a striped lighthouse on a headland, a sailing
// boat crossing the bay, a village under patchwork hills, rolling clouds.
//
// Everything here is computed: no image, font or model file is read.
//
// `clock` runs from 0 to 1 over the clip. The camera glides to the right, the
// boat sails to the left, the clouds and the ripples drift.
//
// Units are roughly metres. x is right, y is up, z is away from the viewer, and
// the sea lies at y = 0.
//
// make-sample.sh renders it and adds the sound. One still:
//
//   povray harbour.pov +W640 +H360 +A0.1 +K0.5

#version 3.7;
#include "functions.inc"

global_settings { assumed_gamma 1.0 max_trace_level 4 }

#declare T = clock;

// ---------------------------------------------------------------- colours --

#declare Night  = srgb <0.10, 0.20, 0.50>;
#declare Azure  = srgb <0.18, 0.48, 0.74>;
#declare Sea    = srgb <0.02, 0.30, 0.40>;
#declare Gold   = srgb <1.00, 0.78, 0.36>;
#declare Cream  = srgb <0.99, 0.94, 0.80>;
#declare Rose   = srgb <0.96, 0.56, 0.48>;
#declare Violet = srgb <0.44, 0.36, 0.62>;
#declare Red    = srgb <0.84, 0.17, 0.12>;
#declare Rust   = srgb <0.90, 0.36, 0.12>;
#declare Rock   = srgb <0.62, 0.44, 0.34>;
#declare Grass  = srgb <0.38, 0.58, 0.20>;
#declare Pine   = srgb <0.10, 0.34, 0.22>;

#default { finish { ambient 0 emission 0.10 diffuse 0.75 } }

// ----------------------------------------------------------------- camera --

camera {
  location <-1.3 + 2.6 * T, 5.4, -34 + 1.8 * T>
  right x * image_width / image_height
  up y
  angle 60
  look_at <0.5 + 1.0 * T, 7.6, 0>
}

// ----------------------------------------------------------------- lights --

#declare SunDir = vnormalize(<0.07, 0.105, 1>);

light_source { <120, 70, -90>  color Gold * 1.25 parallel point_at 0 }
light_source { SunDir * 400    color Rust * 0.5 shadowless parallel point_at 0 }
light_source { <-90, 60, -120> color Azure * 0.7 shadowless parallel point_at 0 }

// -------------------------------------------------------------------- sky --

// Clouds lie on a sheet overhead, so they crowd together at the horizon. Folded
// noise makes them billow. A second look-up, a step nearer to the sun, tells
// which side of each billow is lit.
#declare fMass = function {
  pattern { bozo warp { turbulence 0.5 octaves 3 omega 0.4 lambda 2.0 } }
}
#declare fFold = function(x, y, z) { abs(2 * f_noise3d(x, y, z) - 1) }
#declare fPuff = function(x, y, z) {
  fMass(x, y, z) + 0.34 * fFold(x * 2.6, y * 2, z * 2.6) + 0.15 * fFold(x * 6, y * 4, z * 6)
}
#declare fHeap = function(x, y, z, s) {
  fPuff((x / (abs(y) + 0.25) + s * 0.4) * 1.30 - 0.20 * T + 14.9,
        0.12 * T + 7,
        (z / (abs(y) + 0.25) + s) * 1.30 + 0.05 * T)
}
#declare fCurl = function {
  pattern { wrinkles warp { turbulence 0.5 octaves 3 omega 0.4 } scale <0.55, 0.20, 0.55> }
}
#declare CloudSheet = pigment {
  function { fHeap(x, y, z, 0) }
  pigment_map {
    [0.58 color Rose transmit 1]
    [0.66 function { min(1, max(0, 0.42 + 1.5 * (fHeap(x, y, z, 0) - fHeap(x, y, z, 0.16)))) }
          color_map {
            [0.00 color Violet * 0.8]
            [0.30 color Violet * 1.1]
            [0.50 color Rose]
            [0.70 color Gold]
            [1.00 color Cream]
          }]
  }
}

sky_sphere {
  pigment {
    gradient y
    color_map {
      [0.00 color Gold]
      [0.06 color srgb <0.99, 0.66, 0.38>]
      [0.14 color srgb <0.86, 0.62, 0.58>]
      [0.24 color srgb <0.26, 0.54, 0.72>]
      [0.38 color srgb <0.10, 0.36, 0.66>]
      [0.60 color Night]
    }
  }
  pigment {                                        // thin, curling streaks
    function { fCurl(x / (abs(y) + 0.3) - 0.10 * T, y * 2.4, z) }
    color_map {
      [0.30 color Night transmit 0.55]
      [0.50 color Azure transmit 1]
      [0.56 color Cream transmit 1]
      [0.66 color Cream transmit 0.45]
      [0.76 color Cream transmit 1]
      [0.82 color Azure transmit 1]
      [0.95 color Night transmit 0.6]
    }
  }
  pigment { CloudSheet }
  pigment {                                        // the sun and its glow
    spherical
    color_map {
      [0.00 color Gold transmit 1]
      [0.40 color Gold transmit 0.75]
      [0.62 color Gold transmit 0.60]
      [0.64 color Gold transmit 0.35]
      [0.84 color Cream transmit 0.25]
      [0.85 color Cream * 1.3]
      [1.00 color Cream * 1.5]
    }
    scale 0.30
    translate SunDir
  }
}

// -------------------------------------------------------------------- sea --

// Two crossing swells and drifting noise, calmer far away so that the distance
// stays smooth instead of glittering pixel by pixel.
#declare fSea = function(x, y, z) {
  (  0.50 * sin(0.55 * x + 1.30 * z + 5.0 * T + 2.2 * f_noise3d(x * 0.20, 0, z * 0.25))
   + 0.35 * sin(-0.80 * x + 1.00 * z + 4.0 * T + 2.0 * f_noise3d(x * 0.15, 5, z * 0.2))
   + 1.60 * f_noise3d(x * 0.55, 1.6 * T, z * 1.5 - 0.8 * T))
  / (1 + pow((z + 30) / 27, 2))
}

plane {
  y, 0
  pigment { color Sea }
  normal { function { fSea(x, y, z) } 0.32 accuracy 0.05 }
  finish {
    emission 0.18 diffuse 0.45
    specular 0.5 roughness 0.01
    reflection { 0.18, 0.88 falloff 2.5 }
  }
}

// ------------------------------------------------------------------- land --

// A hill: a smooth dome, roughened, on an ellipse of half-axes A around C.
#macro Hill(C, A, Rough, Seed)
  height_field {
    function 160, 160 {
      max(0, min(1,
        0.78 * pow(max(0, 1 - 4 * (pow(x - 0.5, 2) + pow(y - 0.5, 2))), 0.8)
        * (1 + Rough * (2 * f_noise3d(x * 7 + Seed, y * 7, Seed) - 1)
             + Rough * 0.4 * (2 * f_noise3d(x * 19, y * 19 + Seed, Seed) - 1))))
    }
    smooth
    translate <-0.5, -0.03, -0.5>
    scale <A.x * 2, A.y / 0.78, A.z * 2>
    translate C
  }
#end

// Patchwork fields: rounded cells, some of them ploughed in furrows.
#macro Fields(Size, Tone)
  pigment {
    crackle solid
    turbulence 0.08
    pigment_map {
      [0.20 color srgb <0.42, 0.62, 0.22> * Tone]
      [0.20 gradient x frequency 7 sine_wave turbulence 0.05
            color_map { [0 color srgb <0.86, 0.66, 0.26> * Tone] [1 color srgb <0.66, 0.58, 0.20> * Tone] }]
      [0.42 gradient x frequency 7 sine_wave turbulence 0.05
            color_map { [0 color srgb <0.86, 0.66, 0.26> * Tone] [1 color srgb <0.66, 0.58, 0.20> * Tone] }]
      [0.42 color srgb <0.24, 0.48, 0.24> * Tone]
      [0.60 color srgb <0.24, 0.48, 0.24> * Tone]
      [0.60 gradient z frequency 6 sine_wave turbulence 0.05
            color_map { [0 color srgb <0.60, 0.42, 0.66> * Tone] [1 color srgb <0.36, 0.44, 0.36> * Tone] }]
      [0.78 gradient z frequency 6 sine_wave turbulence 0.05
            color_map { [0 color srgb <0.60, 0.42, 0.66> * Tone] [1 color srgb <0.36, 0.44, 0.36> * Tone] }]
      [0.78 color srgb <0.66, 0.74, 0.28> * Tone]
    }
    scale Size
  }
#end

// Far mountains, hazy blue and violet.
union {
  object { Hill(<-150, 0, 330>, <130, 52, 60>, 0.55, 3) }
  object { Hill(<-40, 0, 350>, <100, 36, 60>, 0.60, 8) }
  object { Hill(<230, 0, 330>, <120, 46, 60>, 0.55, 5) }
  pigment {
    gradient y turbulence 0.25
    color_map { [0 color srgb <0.66, 0.52, 0.66>] [0.5 color srgb <0.40, 0.44, 0.70>] [1 color srgb <0.62, 0.50, 0.72>] }
    scale 40
  }
  finish { emission 0.35 diffuse 0.45 }
}

// Farmed hills round the bay.
object { Hill(<-62, 0, 120>, <60, 19, 40>, 0.28, 1) Fields(15, 0.95) }
object { Hill(<-16, 0, 135>, <40, 10, 30>, 0.30, 6) Fields(12, 1.0) }
object { Hill(<88, 0, 110>, <52, 21, 40>, 0.30, 2) Fields(15, 1.0) }
object { Hill(<50, 0, 78>, <26, 8.0, 16>, 0.30, 9) Fields(9, 1.1) }

#declare Strata = pigment {
  gradient y sine_wave turbulence 0.5 octaves 4
  color_map {
    [0.0 color Violet * 0.8]
    [0.3 color Rock * 0.85]
    [0.7 color Rock * 1.25]
    [1.0 color srgb <0.96, 0.80, 0.56>]
  }
  scale <0.7, 0.15, 0.7> rotate z * 8
}
#declare Meadow = pigment {
  bozo turbulence 0.7
  color_map {
    [0.20 color Pine * 0.7]
    [0.40 color Grass * 0.8]
    [0.52 color Grass * 1.3]
    [0.60 color srgb <0.90, 0.80, 0.28>]
    [0.68 color Grass]
    [0.76 color srgb <0.80, 0.36, 0.60>]
    [0.90 color Pine]
  }
  scale <0.30, 0.2, 0.22>
}

// The headland: stone at the water line, grass and heather above.
object {
  Hill(<-13, 0, 6>, <17, 5.2, 13>, 0.42, 4)
  pigment {
    gradient y
    turbulence 0.12
    pigment_map {
      [0.00 Strata]
      [0.27 Strata]
      [0.36 Meadow]
    }
    scale 6
  }
  normal { bumps 0.5 scale <1.1, 0.5, 1.1> }
}

// A few boulders at the foot of the headland. Below y = 0 the gradient wraps
// round to its pale end, which draws the foam at the water line.
union {
  object { Hill(<-14.6, -0.4, -8.3>, <2.4, 2.3, 1.8>, 0.40, 21) }
  object { Hill(<-10.4, -0.4, -9.0>, <2.9, 2.6, 2.0>, 0.42, 34) }
  object { Hill(<-7.2, -0.4, -8.6>, <1.7, 1.6, 1.3>, 0.38, 47) }
  object { Hill(<-4.0, -0.4, -5.6>, <2.0, 2.2, 1.5>, 0.42, 52) }
  object { Hill(<-1.8, -0.3, -4.6>, <1.2, 1.3, 1.0>, 0.38, 66) }
  pigment {
    gradient y turbulence 0.3
    color_map {
      [0.05 color Violet * 0.35]
      [0.25 color srgb <0.46, 0.42, 0.52>]
      [0.55 color srgb <0.62, 0.56, 0.56>]
      [0.90 color Cream * 0.9]
    }
    scale 2.6
  }
  normal { granite 0.25 scale 1.5 }
}

// ------------------------------------------------------------- vegetation --

// A cypress: a tall flame of a tree, its foliage winding upwards. One unit high.
#declare Cypress = union {
  #local R = seed(5);
  #local I = 0;
  #while (I < 90)
    #local H = I / 89;
    #local Girth = 0.20 * pow(sin(pi * pow(0.06 + 0.92 * H, 0.62)), 0.8) * (1 - 0.35 * H);
    #local Turn = 2 * pi * (I * 0.381966 + H);
    sphere {
      0, 1
      scale <0.075, 0.14, 0.075> * (0.45 + 3.4 * Girth)
      translate <Girth * cos(Turn), 0.04 + 0.90 * H, Girth * sin(Turn)>
    }
    #local I = I + 1;
  #end
  pigment {
    bozo turbulence 0.4
    color_map { [0.2 color Pine * 0.5] [0.5 color Pine * 1.2] [0.8 color Grass * 1.1] }
    scale <0.06, 0.22, 0.06>
  }
  normal { bumps 0.6 scale <0.03, 0.08, 0.03> }
}

#declare Tree = union {
  #local R = seed(12);
  #local I = 0;
  #while (I < 9)
    sphere { <rand(R) - 0.5, 0.5 + rand(R) * 0.7, rand(R) - 0.5>, 0.42 }
    #local I = I + 1;
  #end
  pigment { bozo turbulence 0.5 scale 0.3 color_map { [0.2 color Pine] [0.8 color Grass * 0.9] } }
  normal { bumps 0.9 scale 0.14 }
}

object { Cypress scale <8.5, 9.8, 8.5> translate <-15.0, 3.0, 0.2> }
object { Cypress scale <7.5, 7.4, 7.5> rotate y * 80 translate <-17.4, 2.4, 1.0> }
object { Cypress scale <6.0, 5.4, 6.0> rotate y * 140 translate <-13.2, 3.4, 1.2> }

#declare Places = seed(41);
#declare I = 0;
#while (I < 26)
  object {
    Tree
    scale 1.6 + 1.4 * rand(Places) rotate y * 360 * rand(Places)
    translate <26 + 46 * rand(Places), 1 + 2.0 * rand(Places), 66 + 10 * rand(Places)>
  }
  #declare I = I + 1;
#end

// ----------------------------------------------------------------- houses --

#macro House(Wall, Roof)
  union {
    box { <-1, -1, -0.7>, <1, 1, 0.7> pigment { bozo scale 0.4 color_map { [0 color Wall * 0.86] [1 color Wall] } } }
    prism {
      linear_sweep linear_spline -1.12, 1.12, 4
      <-0.9, 0>, <0.9, 0>, <0, 0.85>, <-0.9, 0>
      rotate -90 * x rotate 90 * y translate y * 0.95
      pigment { gradient z frequency 6 sine_wave color_map { [0 color Roof * 0.65] [1 color Roof] } }
    }
    box { <-0.62, 0.1, -0.72>, <-0.28, 0.6, 0> pigment { color Azure * 0.5 } }
    box { <0.28, 0.1, -0.72>, <0.62, 0.6, 0> pigment { color Gold } finish { emission 0.7 } }
    box { <0.5, 1, 0.1>, <0.72, 2, 0.32> pigment { color Rock } }
  }
#end

object { House(Cream, Rust) scale <1.7, 1.25, 1.6> rotate y * -14 translate <-4.9, 3.9, 2.6> }

// The village across the water, on its quay.
box {
  <22, -1, 59>, <49, 1.0, 66>
  pigment { brick color Rock * 0.6, color Rock * 1.3 brick_size <3, 0.9, 3> mortar 0.2 }
}
object { House(Cream, Red)                    scale 2.0 translate <26, 3.0, 62> }
object { House(srgb <0.95, 0.70, 0.45>, Rust) scale 2.3 rotate y * 12 translate <31, 3.2, 63> }
object { House(srgb <0.62, 0.80, 0.86>, Red)  scale 2.1 rotate y * -8 translate <36.5, 3.1, 62> }
object { House(Cream, Rust)                   scale 2.6 rotate y * 10 translate <42.5, 3.6, 63> }
object { House(srgb <0.96, 0.82, 0.50>, Red)  scale 2.2 translate <34, 6.2, 68> }
object { House(Cream, Rust)                   scale 2.2 rotate y * -20 translate <40.5, 7.2, 70> }

// ------------------------------------------------------------- lighthouse --

union {
  cone {                                           // tower, in a barber's spiral
    0, 1.75, y * 9.4, 1.05
    pigment {
      function { mod(y / 3.7 + atan2(z, x) / (2 * pi) + 10, 1) }
      color_map { [0.5 color Red] [0.5 color Cream] }
    }
    normal { bumps 0.18 scale 0.4 }
  }
  cylinder { y * -1.5, y * 0.5, 2.1 pigment { color Rock * 1.2 } normal { granite 0.5 } }
  cylinder { y * 9.3, y * 9.65, 1.6 pigment { color Night * 1.4 } }
  torus { 1.5, 0.07 translate y * 10.3 pigment { color Night * 1.4 } }
  #local I = 0;
  #while (I < 12)
    cylinder { <1.5, 9.6, 0>, <1.5, 10.3, 0>, 0.05 rotate y * I * 30 pigment { color Night * 1.4 } }
    #local I = I + 1;
  #end
  cylinder {                                       // lantern
    y * 9.6, y * 11.3, 0.85
    pigment { radial frequency 8 color_map { [0.86 color srgb <1.0, 0.86, 0.40>] [0.86 color Rust * 0.6] } }
    finish { emission 0.95 diffuse 0.2 }
  }
  cylinder { y * 11.2, y * 11.4, 1.12 pigment { color Red } }
  sphere { 0, 1 scale <1.02, 1.0, 1.02> translate y * 11.4 pigment { color Red } finish { specular 0.4 } }
  sphere { y * 12.5, 0.22 pigment { color Gold } }
  box { <-0.3, 2.2, -2>, <0.3, 3.1, 0> pigment { color Night } }
  box { <-0.26, 5.4, -1.6>, <0.26, 6.2, 0> pigment { color Night } }
  translate <-9.2, 4.4, 2.5>
}

// ------------------------------------------------------------------ boats --

// One side of the hull at station S (-1 stern .. 1 bow), depth D (0 rail .. 1 keel).
#macro HullPoint(S, D)
  #local Beam = 1.15 * (1 - 0.32 * pow(max(0, -S), 2)) * pow(max(0, 1 - pow(max(0, S), 2.2)), 0.75);
  #local Rail = 1.05 + 0.55 * S * S + 0.15 * S;
  <3.6 * S + 0.7 * S * (1 - D), Rail - D * (Rail + 0.6), Beam * pow(1 - pow(D, 2.2), 0.6)>
#end

#macro Quad(A, B, C, D)
  triangle { A, B, C }
  triangle { A, C, D }
#end

#declare Hull = mesh {
  #local NS = 28;
  #local ND = 10;
  #local I = 0;
  #while (I < NS)
    #local S0 = 2 * I / NS - 1;
    #local S1 = 2 * (I + 1) / NS - 1;
    #local K = 0;
    #while (K < ND)
      #local A = HullPoint(S0, K / ND);
      #local B = HullPoint(S1, K / ND);
      #local C = HullPoint(S1, (K + 1) / ND);
      #local D = HullPoint(S0, (K + 1) / ND);
      Quad(A, B, C, D)
      Quad(A * <1, 1, -1>, B * <1, 1, -1>, C * <1, 1, -1>, D * <1, 1, -1>)
      #if (I = 0)                                  // transom
        Quad(A, D, D * <1, 1, -1>, A * <1, 1, -1>)
      #end
      #local K = K + 1;
    #end
    #local A = HullPoint(S0, 0.15);                // deck
    #local B = HullPoint(S1, 0.15);
    Quad(A, B, B * <1, 1, -1>, A * <1, 1, -1>)
    #local I = I + 1;
  #end
}

// A sail between three corners, bellied out to the leeward side.
#macro Sail(Tack, Clew, Head, Belly)
  mesh {
    #local N = 20;
    #local I = 0;
    #while (I < N)
      #local K = 0;
      #while (K < N)
        #local P = array[4];
        #local Q = 0;
        #while (Q < 4)
          #local U = (I + (Q = 1 | Q = 2)) / N;
          #local V = (K + (Q > 1)) / N;
          #local Foot = Tack + U * (Clew - Tack);
          #local P[Q] = Foot + V * (Head - Foot)
            + Belly * sin(pi * U) * sin(pi * pow(V, 0.7) * 0.96 + 0.1)
            + (Clew - Tack) * 0.16 * U * sin(pi * V);
          #local Q = Q + 1;
        #end
        Quad(P[0], P[1], P[2], P[3])
        #local K = K + 1;
      #end
      #local I = I + 1;
    #end
  }
#end

// The bow points to -x.
#macro Boat(Paint, Main, Stripe, Jib)
  union {
    object {
      Hull rotate y * 180
      pigment {
        gradient y
        color_map {
          [0.36 color Red]
          [0.36 color Paint]
          [0.66 color Paint * 1.25]
          [0.66 color Cream]
          [0.76 color Cream]
          [0.76 color srgb <0.62, 0.34, 0.16>]
        }
        scale 2.3 translate y * -0.65
      }
      finish { specular 0.3 roughness 0.03 }
    }
    union {
      cone { <-0.4, 0, 0>, 0.11, <-0.4, 10.4, 0>, 0.06 }
      cylinder { <-0.4, 1.9, 0>, <3.9, 1.75, -0.55>, 0.08 }
      cone { <-3.6, 1.6, 0>, 0.10, <-5.4, 2.1, 0>, 0.05 }
      pigment { color srgb <0.60, 0.36, 0.18> }
    }
    object {
      Sail(<-0.3, 2.0, 0>, <3.8, 1.9, -0.5>, <-0.3, 10.1, 0>, <0.1, 0, -0.95>)
      pigment { gradient y color_map { [0.5 color Main] [0.5 color Stripe] } scale 2.4 translate y * 0.6 }
      finish { emission 0.16 diffuse 0.75 }
    }
    object {
      Sail(<-5.2, 2.1, 0>, <-0.7, 2.0, -0.6>, <-0.45, 9.2, 0>, <-0.1, 0, -0.8>)
      pigment { gradient y color_map { [0.08 color Stripe] [0.08 color Jib] } scale 2.4 }
      finish { emission 0.16 diffuse 0.75 }
    }
    prism {                                        // pennant
      linear_sweep linear_spline -0.02, 0.02, 4
      <0, 0>, <0, 0.7>, <1.3, 0.3>, <0, 0>
      rotate -90 * x translate <-0.35, 10.0, 0>
      pigment { color Gold }
    }
    box { <0.2, 0.9, -0.55>, <2.0, 1.65, 0.55> pigment { color Cream } }
    sphere { 0, 0.3 scale <1, 1.2, 1> translate <2.7, 1.95, 0> pigment { color Night } }
  }
#end

object {
  Boat(Azure * 0.7, Rust, Gold, Cream)
  rotate x * (4 + 1.5 * sin(2 * pi * T))
  rotate z * 1.2 * sin(2 * pi * T + 1)
  rotate y * -14
  translate <8.2 - 1.6 * T, 0.08 * sin(4 * pi * T), -3>
}

object {
  Boat(Red, Cream, Rose, Cream)
  rotate x * (3 + 1.2 * sin(2 * pi * T + 2))
  rotate y * 165
  translate <30 + 1.2 * T, 0, 34>
}
