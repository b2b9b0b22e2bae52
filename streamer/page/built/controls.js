// Made from the table of controls by `python -m streamer.session.control_fields`.
export const CONTROLS = [
  {
    "name": "seed",
    "kind": "whole",
    "description": "same seed and same speech, same performance; another seed, another take",
    "applies_to": "both",
    "range": "0 to 1.844674407370955e+19",
    "default": 0,
    "live": true,
    "least": 0,
    "most": 4294967295,
    "picture": "/controls/seed.jpg"
  },
  {
    "name": "steps",
    "kind": "whole",
    "description": "steps of sampling, for motion to come",
    "applies_to": "both",
    "range": "1 to 50",
    "default": null,
    "live": true,
    "least": 1,
    "most": 50
  },
  {
    "name": "face",
    "kind": "coded",
    "description": "which face speaks, where there are several: the largest, or the one nearest to a point",
    "applies_to": "both",
    "range": "largest, or a point as two shares of the picture's width and height from 0 to 1, as 0.3,0.4",
    "default": "largest",
    "live": true
  },
  {
    "name": "on_silence",
    "kind": "choice",
    "description": "where speech pauses, the mouth rests, or the picture is shown as it came",
    "applies_to": "both",
    "range": "close, passthrough",
    "default": "close",
    "live": true,
    "choices": [
      "close",
      "passthrough"
    ]
  },
  {
    "name": "mouth_opening",
    "kind": "number",
    "description": "how far the lips open; 0 keeps them closed",
    "applies_to": "both",
    "range": "0 to 3 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 3,
    "unit": "times",
    "picture": "/controls/mouth_opening.jpg"
  },
  {
    "name": "motion_scale",
    "kind": "number",
    "description": "strength of all motion: lips, face and head",
    "applies_to": "both",
    "range": "0 to 2 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 2,
    "unit": "times",
    "picture": "/controls/motion_scale.jpg"
  },
  {
    "name": "lip_weight",
    "kind": "number",
    "description": "strength of the lips' motion",
    "applies_to": "both",
    "range": "0 to 2 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 2,
    "unit": "times",
    "picture": "/controls/lip_weight.jpg"
  },
  {
    "name": "expression_weight",
    "kind": "number",
    "description": "strength of the motion of jaw, chin and cheeks",
    "applies_to": "both",
    "range": "0 to 2 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 2,
    "unit": "times",
    "picture": "/controls/expression_weight.jpg"
  },
  {
    "name": "pose_weight",
    "kind": "number",
    "description": "strength of the head's motion",
    "applies_to": "portraits",
    "range": "0 to 3 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 3,
    "unit": "times",
    "picture": "/controls/pose_weight.jpg"
  },
  {
    "name": "articulation",
    "kind": "number",
    "description": "how readable the lips are: 0 mumbles, 0.5 is as generated, 1 is clearest",
    "applies_to": "both",
    "range": "0 to 1",
    "default": 0.5,
    "live": true,
    "least": 0,
    "most": 1,
    "picture": "/controls/articulation.jpg"
  },
  {
    "name": "emotion",
    "kind": "coded",
    "description": "expression that is added to speech: the lower face in films, brows and lids too in portraits",
    "applies_to": "both",
    "range": "neutral, happy, sad, angry, surprised, disgusted, afraid, or strengths of action units from 0 to 1.5, as 12=0.8,15=0.2",
    "default": "neutral",
    "live": true,
    "choices": [
      "neutral",
      "happy",
      "sad",
      "angry",
      "surprised",
      "disgusted",
      "afraid"
    ],
    "picture": "/controls/emotion.jpg"
  },
  {
    "name": "intensity",
    "kind": "number",
    "description": "strength of the emotion",
    "applies_to": "both",
    "range": "0 to 1.5 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 1.5,
    "unit": "times",
    "picture": "/controls/intensity.jpg"
  },
  {
    "name": "key_motions",
    "kind": "coded",
    "description": "shapes that the mouth passes through at given times",
    "applies_to": "both",
    "range": "none, or TIME:SHAPE:HOLD parted by blanks, in seconds, as 1.2:closed:0.2 2:smile:0.5; SHAPE is one of closed, open, wide, round, smile, grin, pressed, or APERTURE/UNIT=STRENGTH,..., as 0.1/12=0.8",
    "default": "none",
    "live": true,
    "picture": "/controls/key_motions.jpg"
  },
  {
    "name": "head_pose",
    "kind": "coded",
    "description": "turns the head to the picture's right, up and clockwise, and moves it right and down",
    "applies_to": "portraits",
    "range": "yaw -20 to 20 degrees, pitch -15 to 15 degrees, roll -10 to 10 degrees, across -0.1 to 0.1 face widths, down -0.1 to 0.1 face widths",
    "default": "0,0,0,0,0",
    "live": true,
    "parts": [
      {
        "name": "yaw",
        "least": -20.0,
        "most": 20.0,
        "unit": "degrees"
      },
      {
        "name": "pitch",
        "least": -15.0,
        "most": 15.0,
        "unit": "degrees"
      },
      {
        "name": "roll",
        "least": -10.0,
        "most": 10.0,
        "unit": "degrees"
      },
      {
        "name": "across",
        "least": -0.1,
        "most": 0.1,
        "unit": "face widths"
      },
      {
        "name": "down",
        "least": -0.1,
        "most": 0.1,
        "unit": "face widths"
      }
    ],
    "picture": "/controls/head_pose.jpg"
  },
  {
    "name": "pose_preset",
    "kind": "choice",
    "description": "how the head moves by itself",
    "applies_to": "portraits",
    "range": "still, calm, lively, nod, shake",
    "default": "calm",
    "live": true,
    "choices": [
      "still",
      "calm",
      "lively",
      "nod",
      "shake"
    ],
    "picture": "/controls/pose_preset.jpg"
  },
  {
    "name": "pose_rhythm",
    "kind": "number",
    "description": "how far the head dips with stressed syllables and turns with phrases",
    "applies_to": "portraits",
    "range": "0 to 3 times",
    "default": 1.0,
    "live": true,
    "least": 0,
    "most": 3,
    "unit": "times",
    "picture": "/controls/pose_rhythm.jpg"
  },
  {
    "name": "gaze",
    "kind": "coded",
    "description": "turns the eyes to the picture's right and up",
    "applies_to": "portraits",
    "range": "yaw -20 to 20 degrees, pitch -10 to 10 degrees",
    "default": "0,0",
    "live": true,
    "parts": [
      {
        "name": "yaw",
        "least": -20.0,
        "most": 20.0,
        "unit": "degrees"
      },
      {
        "name": "pitch",
        "least": -10.0,
        "most": 10.0,
        "unit": "degrees"
      }
    ],
    "picture": "/controls/gaze.jpg"
  },
  {
    "name": "blink",
    "kind": "coded",
    "description": "how often the eyes blink; now has them blink once more",
    "applies_to": "portraits",
    "range": "0 to 30 blinks a minute, or now",
    "default": "16.5",
    "live": true,
    "picture": "/controls/blink.jpg"
  },
  {
    "name": "brows",
    "kind": "number",
    "description": "raises the brows, or lowers them below 0",
    "applies_to": "portraits",
    "range": "-1 to 1",
    "default": 0.0,
    "live": true,
    "least": -1,
    "most": 1,
    "picture": "/controls/brows.jpg"
  }
];
