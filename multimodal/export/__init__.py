"""Other tools' formats: ELAN, Praat, subtitles, tables."""
