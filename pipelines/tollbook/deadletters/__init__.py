"""Dead letters: records that were not accepted, found again, shown, mended and produced anew."""
