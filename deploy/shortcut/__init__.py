"""What is bought for milliseconds. The product works without this folder."""
